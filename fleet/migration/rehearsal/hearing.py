"""What a master station hears in a rehearsal: bytes to frames to values, for the intake.

Each frame's values are of the quantities that fleet.wire.quantity has; what a frame does not date
is of the time at which it came.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from fleet.legacy import sources
from fleet.legacy.intake import Arrival, Value
from fleet.legacy.protocols import cjt188, dlt645, dtu, hj212, modbus, sl651
from fleet.legacy.protocols.frame import FrameError, Garbage
from fleet.legacy.protocols.frame import Value as Said
from fleet.legacy.sources import Source
from fleet.migration.rehearsal.speaking import Contact
from fleet.wire.quantity import QUANTITIES

_PATTERN: Final = dtu.pattern("imei")
_BY_NUMBER: Final = dtu.pattern("text")
# The name of a value in its protocol -> quantity, and the exponent of ten of the frame's unit over
# the quantity's.
_KEYS: Final[dict[str, dict[str, tuple[int, int]]]] = {
    "cjt188": {"total": (1, 0)},
    "dlt645": {"forward_active_energy_total": (22, 0)},
    "sl651": {"Z": (2, 0)},
    "hj212": {"a01001-Rtd": (32, 0), "a01002-Rtd": (33, 0)},
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNT_LITRES: Final = 100  # of a flow computer's register


class Heard(NamedTuple):
    """What a contact came to: arrivals, the answers that go out behind their commit, and how many
    pieces were no frames.
    """

    arrivals: list[Arrival]
    answers: list[bytes]
    garbage: int


def hear(contact: Contact) -> Heard:
    """Total: what cannot be read is counted."""
    if contact.opening:
        return _dtu(contact)
    codec: Any = sl651 if contact.protocol == "sl651" else hj212
    heard = Heard([], [], 0)
    splitter = codec.splitter()
    garbage = 0
    for piece in contact.pieces:
        for one in splitter.feed(piece):
            frame = _decoded(codec.decode, one)
            if frame is None:
                garbage += 1
                continue
            source = Source(contact.protocol, frame.sender)
            values = _values(contact.protocol, codec.values(frame), contact.at_us)
            raw = one if isinstance(one, bytes) else b""
            heard.arrivals.append(Arrival(source, values, contact.at_us, raw))
            answer = codec.answer(frame)
            if answer is not None:
                heard.answers.append(answer)
    return heard._replace(garbage=garbage)


def _dtu(contact: Contact) -> Heard:
    """The box tells who it is; then its meters answer, each poll one piece."""
    digits = contact.opening.startswith(b"IMEI")
    line = dtu.Line(_PATTERN if digits else _BY_NUMBER)
    line.feed(contact.opening, answer_due=False)
    if line.registered is None:
        return Heard([], [], 1)
    arrivals, garbage = [], 0
    codec: Any = {"cjt188": cjt188, "dlt645": dlt645, "modbus": modbus}[contact.protocol]
    for piece in contact.pieces:
        splitter = codec.splitter()
        for data in line.feed(piece, answer_due=True):
            for one in splitter.feed(data) if isinstance(data, bytes) else ():
                frame = _decoded(_decoder(contact.protocol), one)
                if frame is None:
                    garbage += 1
                    continue
                meter = frame.sender if contact.protocol == "dlt645" else ""
                source = Source(line.registered.kind, line.registered.identity, meter)
                if contact.protocol == "modbus":
                    values = [_counted(frame, contact.at_us)]
                else:
                    values = _values(contact.protocol, codec.values(frame), contact.at_us)
                arrivals.append(Arrival(source, values, contact.at_us, bytes(piece)))
    return Heard(arrivals, [], garbage)


def _decoder(protocol: str) -> Callable[[bytes], Any]:
    if protocol == "modbus":
        return lambda frame: modbus.decode(frame, "reply")
    return cjt188.decode if protocol == "cjt188" else dlt645.decode


def _decoded(decode: Callable[[bytes], Any], one: bytes | Garbage) -> Any:
    if isinstance(one, Garbage):
        return None
    try:
        return decode(one)
    except FrameError:
        return None


def _counted(frame: modbus.ModbusFrame, at_us: int) -> Value:
    high, low = (value for _, value in frame.registers[:2])
    return Value(1, at_us, (high << 16 | low) * _COUNT_LITRES)


def _values(protocol: str, told: list[Said], at_us: int) -> list[Value]:
    found = []
    for one in told:
        known = _KEYS[protocol].get(one.key)
        if known is None:
            continue
        quantity, power = known
        decimals = QUANTITIES[quantity][2]
        value = int(Decimal(one.value).scaleb(decimals + power))
        found.append(Value(quantity, at_us if one.time is None else _us(one.time), value))
    return found


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


assert _PATTERN.kind == sources.IMEI  # noqa: S101  # a DTU's own word is the intake's
