"""What the codecs of legacy protocols share: a frame, the values in it, and why bytes are none."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from fleet.errors import Refusal

# All five protocols tell the wall clock of the People's Republic, which has one zone and no summer
# time; none of them says so in a frame.
BEIJING = timezone(timedelta(hours=8))

GOOD, ESTIMATED, SUSPECT = "good", "estimated", "suspect"


class FrameError(Refusal):
    """The bytes are no frame of the protocol: one line, with the byte where that shows."""

    def __init__(self, protocol: str, offset: int, what: str) -> None:
        # What a frame says must not move a terminal's cursor, nor break the line.
        what = "".join(sign if sign.isprintable() else "?" for sign in what)
        super().__init__(f"{protocol}: byte {offset}: {what}")
        self.protocol, self.offset, self.what = protocol, offset, what


@dataclass(frozen=True, slots=True)
class Value:
    """One reading in a frame.

    `key` is the protocol's own name of it, `value` an exact number as decimal text ("0.26") or a
    word ("open"), `unit` empty where there is none, `time` when it was measured as far as the
    frame says, aware; `quality` good, estimated or suspect; `name` for people;
    `source` the station it is of, in protocols whose frames may have several.
    """

    key: str
    value: str
    unit: str = ""
    time: datetime | None = None
    quality: str = GOOD
    name: str = ""
    source: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same as a JSON object; the time as ISO 8601 with its offset, or null."""
        return {
            "key": self.key,
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "time": iso(self.time),
            "quality": self.quality,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class Frame(ABC):
    """A frame that was understood.

    `notes`, which all have, tell what was let pass though the standard has it not.
    """

    @property
    @abstractmethod
    def sender(self) -> str:
        """Who says it, or who is asked: meter, device or station, as the protocol writes it."""

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """All fields by name; bytes as hexadecimal text, times as ISO 8601."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes of a stream that belong to no frame, and why the first of them does not begin one."""

    data: bytes
    why: str


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 with the offset; None stays None."""
    return None if moment is None else moment.isoformat()


def decimal_text(number: int, decimals: int) -> str:
    """The text of `number` / 10**`decimals` with all its decimals: (26, 2) is "0.26".

    Never an exponent, and the decimals that a register has stay: 1.50 is not 1.5.
    """
    return format(Decimal(number).scaleb(-decimals), "f")


def moment(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0
) -> datetime:
    """That wall clock time in China; ValueError where there is none."""
    return datetime(year, month, day, hour, minute, second, tzinfo=BEIJING)
