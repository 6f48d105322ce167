"""What gateways found when they searched their lines: records of quantities 930 to 933."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.registry.operations import PAGE, show_node
from fleet.registry.sub_tables import FoundDevice

QUANTITIES = range(930, 934)
PROTOCOLS = ("modbus", "dlt645", "cjt188")
_PROTOCOL, _ADDRESS, _TYPE, _BAUD = 930, 931, 932, 933
_DIGITS = {0: 1, 1: 12, 2: 14}  # of an address, by protocol


class Said(Protocol):
    """What is needed of fleet.uplink.own_words.Words."""

    @property
    def node_id(self) -> str: ...
    @property
    def values(self) -> Mapping[int, int]: ...
    @property
    def received_us(self) -> int: ...


class Found(NamedTuple):
    """A device on a node's line; `seen_us` in us since 1970 UTC."""

    protocol: str
    address: str
    meter_type: int
    baud: int
    seen_us: int


def told(session: Session, words: Sequence[Said]) -> None:
    """Remember what was found, each device once for each node; what makes no sense is left."""
    for one in words:
        protocol, address = one.values.get(_PROTOCOL), one.values.get(_ADDRESS, -1)
        if protocol not in _DIGITS or not 0 <= address < 10**14:
            continue  # the end of a search, or of a newer firmware
        baud, kind = one.values.get(_BAUD, 0), one.values.get(_TYPE, 0)
        if not 0 <= baud <= 1_000_000 or not 0 <= kind <= 255:
            continue
        session.merge(
            FoundDevice(
                node_id=one.node_id, protocol=protocol, address=address, baud=baud,
                meter_type=kind, seen_us=one.received_us,
            )
        )  # fmt: skip


def list_found(session: Session, node_id: str) -> list[Found]:
    """What a node's searches found, by protocol and address."""
    show_node(session, node_id)
    rows = session.scalars(
        select(FoundDevice)
        .where(FoundDevice.node_id == node_id)
        .order_by(FoundDevice.protocol, FoundDevice.address)
        .limit(PAGE)
    )
    return [
        Found(
            PROTOCOLS[row.protocol], f"{row.address:0{_DIGITS[row.protocol]}d}", row.meter_type,
            row.baud, row.seen_us,
        )
        for row in rows
    ]  # fmt: skip
