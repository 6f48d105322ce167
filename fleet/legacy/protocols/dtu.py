"""What a DTU in transparent mode sends beside the bytes of its serial line: who it is, heartbeats.

Makers differ, so a pattern is data of the box's model. Nothing of it is authenticated.
"""

import re
from dataclasses import dataclass

from fleet.errors import Refusal
from fleet.legacy.protocols.frame import Garbage
from fleet.registry.luhn import luhn

MAX_OPENING = 128  # bytes of a registration packet
_ENDS = b"\r\n\0"
_SIGNS = range(0x21, 0x7F)


class BadPattern(Refusal):
    """A registration pattern or a heartbeat that cannot be used."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The box told who it is: `kind` imei, phone or text."""

    kind: str
    identity: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The box is there."""

    raw: bytes


Arrival = Registered | Heartbeat | bytes | Garbage


@dataclass(frozen=True)
class Pattern:
    """How boxes of one model open a connection and keep it.

    `opening` is a regular expression with a group `id`, matched from the first byte on; `kind`
    what the identity is; `heartbeats` are exact bytes between the answers of the meters.
    """

    kind: str
    opening: re.Pattern[bytes]
    heartbeats: tuple[bytes, ...] = ()


_KINDS = {
    "imei": rb"(?:IMEI[:= ]?)?(?P<id>[0-9]{15})",
    "phone": rb"(?:\+?86)?(?P<id>1[0-9]{10})(?![0-9])",
    "text": rb"(?P<id>[!-~]{4,32})(?=[\r\n\0]|$)",  # an end of the bytes needs a silence: _goes_on
}
DEFAULT_HEARTBEATS = (b"\xfe", b"\0", b"heartbeat", b"PING", b"$$$", b"HEART")


def pattern(kind: str, opening: str = "", heartbeats: tuple[bytes, ...] = ()) -> Pattern:
    """The usual packet of `kind` (imei, phone, text), or a maker's own expression with a group
    `id`; BadPattern where it cannot be used.
    """
    if kind not in _KINDS:
        raise BadPattern(f"no kind {kind} of identity: there are {', '.join(_KINDS)}")
    try:
        made = re.compile(opening.encode() if opening else _KINDS[kind])
    except (re.error, UnicodeEncodeError) as e:
        raise BadPattern(f"the pattern of the registration packet is no expression: {e}") from None
    if "id" not in made.groupindex:
        raise BadPattern("the pattern of the registration packet has no group (?P<id>...)")
    beats = heartbeats or DEFAULT_HEARTBEATS
    if not all(1 <= len(beat) <= MAX_OPENING for beat in beats):
        raise BadPattern(f"a heartbeat has 1 to {MAX_OPENING} bytes")
    return Pattern(kind, made, tuple(sorted(beats, key=len, reverse=True)))


class Line:
    """One connection of a box: registration first, then heartbeats apart from the line's bytes.

    A heartbeat is one only between two answers, since a meter's bytes may look like it: whoever
    polls says when an answer is due, and then all bytes are the meter's.
    """

    def __init__(self, boxes: Pattern) -> None:
        self._boxes = boxes
        self._opening = bytearray()
        self.registered: Registered | None = None

    def feed(self, data: bytes, answer_due: bool) -> list[Arrival]:
        """What the bytes of one arrival are, in their order; bytes are the serial line's."""
        if self.registered is None:
            return self._open(data)
        if answer_due:
            return [data] if data else []
        return self._between(data)

    def behind_heartbeats(self, data: bytes) -> bytes:
        """What follows the heartbeats that it begins with."""
        while (beat := next(filter(data.startswith, self._boxes.heartbeats), None)) is not None:
            data = data[len(beat) :].lstrip(_ENDS)
        return data

    @property
    def is_holding(self) -> bool:
        """Whether what came is, or may become, a registration packet."""
        return bool(self._opening)

    def flush(self) -> list[Arrival]:
        """The line was silent: a registration that could have gone on is whole."""
        held = bytes(self._opening)
        found = self._boxes.opening.match(held)
        return [] if found is None else self._register(held, found)

    def _between(self, data: bytes) -> list[Arrival]:
        out: list[Arrival] = []
        while data:
            beat = next((one for one in self._boxes.heartbeats if data.startswith(one)), None)
            if beat is None:
                again = self._boxes.opening.match(data)
                if again is None or _identity(self._boxes.kind, again) is None:
                    out.append(Garbage(data.rstrip(_ENDS) or data, "nobody was asked"))
                    break
                out.append(Heartbeat(again.group()))  # some send their registration for it
                data = data[again.end() :].lstrip(_ENDS)
                continue
            out.append(Heartbeat(beat))
            data = data[len(beat) :].lstrip(_ENDS)
        return out

    def _open(self, data: bytes) -> list[Arrival]:
        self._opening += data
        held = bytes(self._opening)
        found = self._boxes.opening.match(held)
        if found is None:
            if len(held) <= MAX_OPENING:
                return []
            self._opening.clear()
            return [Garbage(held, "no registration packet")]
        if found.end() == len(held) and self._goes_on(held, found):
            return []
        return self._register(held, found)

    def _goes_on(self, held: bytes, found: re.Match[bytes]) -> bool:
        """Whether one more byte could make it another identity, or none: a network may cut it."""
        for sign in _SIGNS:
            longer = self._boxes.opening.match(held + bytes((sign,)))
            if longer is None or longer.group("id") != found.group("id"):
                return True
        return False

    def _register(self, held: bytes, found: re.Match[bytes]) -> list[Arrival]:
        identity = _identity(self._boxes.kind, found)
        self._opening.clear()
        if identity is None:
            return [Garbage(held, "the IMEI's check digit is wrong")]
        self.registered = Registered(self._boxes.kind, identity, found.group())
        out: list[Arrival] = [self.registered]
        rest = held[found.end() :].lstrip(_ENDS)
        return out + (self.feed(rest, answer_due=False) if rest else [])


def _identity(kind: str, found: re.Match[bytes]) -> str | None:
    text = found.group("id").decode("ascii", "replace")
    if kind == "imei" and not luhn(text):
        return None
    return text
