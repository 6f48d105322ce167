"""Readings as SL 651-2014 to a hydrological centre: additional or timed reports, each answered by
a frame down with its serial number.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from fleet.alarms.delivery import DeliveryError
from fleet.bridge import units
from fleet.bridge.north.frames import Line
from fleet.bridge.north.outbox import Out
from fleet.bridge.north.targets import Target
from fleet.legacy.protocols import sl651, writing
from fleet.legacy.protocols import sl651_words as words

AT_ONCE = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FUNCTIONS = {"timed": words.TIMED, "additional": words.ALARM, "hourly": words.HOURLY}
_SERIALS = 65535  # 1 to this; 0 is not used


class HydroPlatform:
    """Sends messages one by one."""

    def __init__(self, target: Target) -> None:
        table = target.platform
        self._words = {word.quantity: word for word in target.words}
        self._centre = table.whole("centre", 1, 255)
        try:
            self._password = int(table.secret("password") or "0", 16)
        except ValueError:
            self._password = -1
        if not 0 <= self._password <= 0xFFFF:
            raise table.fault("password", "4 hexadecimal digits")
        self._function = _FUNCTIONS[table.one_of("report", list(_FUNCTIONS), "additional")]
        classes = tuple(words.CLASSES.values())
        self._class = table.one_of("station_class", classes, "river")
        self._line = Line(table, self)
        table.end()

    def deliver(self, messages: list[Out], numbers: Mapping[int, str]) -> None:
        """Return when it is answered; DeliveryError; DoesNotFit for too many digits."""
        for message in messages:
            self._line.deliver(sl651.encode(self._frame(message, numbers)))

    def close(self) -> None:
        """End the connection."""
        self._line.close()

    def splitter(self) -> object:
        """For Line."""
        return sl651.splitter()

    def answers(self, sent: bytes, came: bytes) -> bool:
        """For Line: down, of the same station, function and serial number."""
        asked, message = sl651.decode(sent), sl651.decode(came)
        same = (message.station, message.function, message.serial)
        if message.up or same != (asked.station, asked.function, asked.serial):
            return False
        if message.end == words.NAK:
            raise DeliveryError(f"the centre refuses serial {asked.serial}: NAK", is_lasting=True)
        return True

    def reply(self, came: bytes) -> bytes | None:
        """For Line: a query or a command has no answer here."""
        return None

    def _frame(self, message: Out, numbers: Mapping[int, str]) -> sl651.Message:
        told: dict[str, Decimal] = {}
        for quantity, value, _quality in message.values:
            word = self._words[quantity]
            decimals = min(word.decimals, writing.SIZES[word.key][1])
            told[word.key] = units.told(value, quantity, word.factor, decimals)
        observed, sent = _moment(message.time_us), _moment(message.stamp_us)
        return writing.report(
            self._function, self._centre, numbers[message.asset_id],
            message.id % _SERIALS + 1, sent, observed, self._class, told, self._password,
        )  # fmt: skip


def _moment(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
