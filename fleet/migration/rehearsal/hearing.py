"""What a master station hears in a rehearsal: bytes to frames to values, for the intake.

Each frame's values are of the quantities that fleet.wire.quantity has; what a frame does not date
is of the time at which it came.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fleet.legacy import asking, sources
from fleet.legacy.intake import Arrival, Value
from fleet.legacy.mapping import Meanings
from fleet.legacy.protocols import cjt188, dlt645, dtu, hj212, modbus, sl651
from fleet.legacy.protocols.frame import FrameError, Garbage
from fleet.legacy.sources import Source
from fleet.migration.rehearsal.speaking import Contact
from fleet.registry.registers import REGISTERS
from fleet.registry.sub_devices import REGISTER

_PATTERN: Final = dtu.pattern("imei")
_BY_NUMBER: Final = dtu.pattern("text")
# What the fleet asks of a meter on a line, and how it reads the answer.
_PROFILES: Final = {"cjt188": "cjt188-gas", "dlt645": "dlt645"}
_MEANINGS: Final = Meanings()
_COUNTED: Final = REGISTERS | set(REGISTER.values())
_COUNT_LITRES: Final = 100  # of a flow computer's register: no profile of ours has one


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
            told = codec.values(frame)
            if contact.protocol == "sl651":
                mapped = _MEANINGS.sl651(told, contact.at_us)
            else:
                mapped = _MEANINGS.hj212(frame.cn, told, contact.at_us)
            values = mapped.values
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
                    values = _answered(contact.protocol, frame, bytes(one), contact.at_us)
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


def _answered(protocol: str, frame: Any, raw: bytes, at_us: int) -> list[Value]:
    """The register in an answer, as whoever polls the meter reads it by its profile."""
    serial = frame.data[2] if protocol == "cjt188" else 0  # behind the item: of the question
    for ask in asking.questions(asking.line_of(_PROFILES[protocol]), frame.sender, serial):
        try:
            told = ask.read(raw)
        except ValueError:
            continue  # the answer to another question
        return [Value(quantity, at_us, value) for quantity, value in told if quantity in _COUNTED]
    return []


assert _PATTERN.kind == sources.IMEI  # noqa: S101  # a DTU's own word is the intake's
