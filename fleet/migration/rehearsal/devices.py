"""Simulated terminals: old ones that speak their protocols, new ones with a journal."""

from typing import Final

from fleet.migration.rehearsal import speaking
from fleet.migration.rehearsal.facts import LINES, Old
from fleet.migration.rehearsal.flows import Dial, level, mix
from fleet.migration.rehearsal.speaking import Contact, Told
from fleet.registry.luhn import luhn
from fleet.wire import report
from fleet.wire.quantity import LEVEL, SUB_DEVICE

US: Final = 1_000_000
DAY_S: Final = 86400
EPOCH: Final = 1  # of a node's journal
MOST_RECORDS: Final = 40  # of one report
_HUMIDITY, _TEMPERATURE = 33, 32


class OldDevice:
    """A terminal of another maker. `queue`: what nobody has answered yet, with what it said.

    `dials`: of its own register, and of the meters on its line, by their asset.
    """

    __slots__ = ("dials", "from_us", "gone_us", "moment_s", "old", "queue", "serial")

    def __init__(self, old: Old, dials: dict[int, Dial], from_us: int) -> None:
        self.old = old
        self.dials = dials
        self.from_us = from_us
        self.gone_us: int | None = None
        # To the minute: SL 651 observes at no other time.
        self.moment_s = mix(int.from_bytes(old.terminal_id.encode(), "big")) % (DAY_S // 60) * 60
        self.queue: list[tuple[Contact, list[Told]]] = []
        self.serial = 0

    def speak(self, at_us: int, *, keeps: bool) -> list[Told]:
        """Tell what there is at a time. Without `keeps` what is not heard at once is gone: a
        meter that nobody polled has told nothing.
        """
        old = self.old
        if not keeps and old.protocol in LINES:
            return []
        self.serial += 1
        contact, told = self._contact(at_us)
        self.queue.append((contact, told))
        return told

    def _contact(self, at_us: int) -> tuple[Contact, list[Told]]:
        old = self.old
        if old.protocol == "sl651":
            value = level(old.item_id, at_us)
            frame = speaking.station(old.identity, self.serial, value, at_us)
            return _framed("sl651", frame, at_us), [Told(old.asset_id, LEVEL, at_us, value)]
        if old.protocol == "hj212":
            warm, damp = level(old.item_id, at_us) % 400, level(old.item_id + 1, at_us) % 1000
            frame = speaking.monitor(old.identity, warm, damp, at_us)
            told = [
                Told(old.asset_id, _TEMPERATURE, at_us, warm),
                Told(old.asset_id, _HUMIDITY, at_us, damp),
            ]
            return _framed("hj212", frame, at_us), told
        pieces, told = [], []
        for meter in old.meters:
            if meter.register is not None:
                value = self.dials[meter.asset_id].at(at_us)
                pieces.append(speaking.energy(meter.address, value))
                told.append(Told(meter.asset_id, meter.register, at_us, value))
        if old.register is not None:
            value = self.dials[old.asset_id].at(at_us)
            if old.protocol == "modbus":
                pieces.append(speaking.flow_computer(value))
            else:
                pieces.append(speaking.gas(old.number_14, self.serial, value, at_us))
            told.append(Told(old.asset_id, old.register, at_us, value))
        return Contact(old.protocol, _opening(old.identity), tuple(pieces), at_us), told


class NewDevice:
    """A node of ours: its journal keeps a record until a receipt covers it."""

    __slots__ = (
        "dials",
        "from_us",
        "gone_us",
        "journal",
        "moment_s",
        "node_id",
        "old",
        "sequence",
    )

    def __init__(
        self, node_id: str, old: Old, dials: dict[int, Dial], from_us: int, window_h: int
    ) -> None:
        self.node_id = node_id
        self.old = old
        self.dials = dials
        self.from_us = from_us
        self.gone_us: int | None = None
        # A hash of its id within the window from midnight on, as nodes do.
        spread = max(1, window_h) * 3600
        self.moment_s = mix(int.from_bytes(node_id.encode(), "big")) % spread
        self.sequence = 0
        self.journal: dict[int, bytes] = {}

    def speak(self, at_us: int, *, keeps: bool) -> list[Told]:
        """Note what there is at a time; it stays until it is covered."""
        del keeps  # a journal always does
        old, time_s, told = self.old, at_us // US, []
        at_us = time_s * US
        own: list[tuple[int, int]] = []
        if old.register is not None:
            own.append((old.register, self.dials[old.asset_id].at(at_us)))
        elif not old.meters:
            own.append((LEVEL, level(old.item_id, at_us)))
        if own:
            self._note(time_s, own)
            told += [Told(old.asset_id, quantity, at_us, value) for quantity, value in own]
        for meter in old.meters:
            if meter.register is None:
                continue
            value = self.dials[meter.asset_id].at(at_us)
            self._note(time_s, [(SUB_DEVICE, meter.number), (meter.register, value)])
            told.append(Told(meter.asset_id, meter.register, at_us, value))
        return told

    def report(self, at_us: int) -> bytes:
        """What it sends then: its oldest records first."""
        bodies = [(number, self.journal[number]) for number in sorted(self.journal)]
        return report.encode(EPOCH, at_us // US, bodies[:MOST_RECORDS], {})

    def covered(self, sequences: set[int]) -> None:
        """A receipt came."""
        for number in sequences:
            self.journal.pop(number, None)

    def _note(self, time_s: int, values: list[tuple[int, int]]) -> None:
        self.sequence += 1
        self.journal[self.sequence] = report.encode_body(time_s, report.GOOD, values)


def _framed(protocol: str, frame: bytes, at_us: int) -> Contact:
    # In two pieces, as a slow line brings it.
    return Contact(protocol, b"", (frame[:9], frame[9:]), at_us)


def _opening(identity: str) -> bytes:
    if len(identity) == 15 and identity.isdigit() and luhn(identity):
        return b"IMEI:" + identity.encode()
    return identity.encode() + b"\r\n"
