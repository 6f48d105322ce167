"""Readings as HJ 212-2017 to an authority's platform: data of now, minutes, hours and days,
each packet answered by 9014 with its QN.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from fleet.alarms.delivery import DeliveryError
from fleet.bridge import units
from fleet.bridge.north.frames import Line
from fleet.bridge.north.outbox import Out
from fleet.bridge.north.targets import Target
from fleet.legacy.protocols import hj212
from fleet.legacy.protocols.frame import BEIJING
from fleet.legacy.protocols.hj212_words import SYSTEMS
from fleet.telemetry import derived

AT_ONCE = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FLAGS = ("N", "S", "D")  # good, estimated (set by hand), suspect (fault): table 10's words
_COMMANDS = {"now": "2011", "minute": "2051", "hour": "2061", "day": "2031"}
_KINDS = {
    "": "Rtd", "mean": "Avg", "min": "Min", "max": "Max", "total": "Cou", "converted": "ZsRtd",
    "converted_mean": "ZsAvg", "converted_min": "ZsMin", "converted_max": "ZsMax",
}  # fmt: skip
_ASKS_ANSWER, _2017 = 1, 4
_REFUSED = "2"  # QnRtn


class HjPlatform:
    """Sends messages one by one."""

    def __init__(self, target: Target) -> None:
        table = target.platform
        self._words = {word.quantity: word for word in target.words}
        self._st = table.text("st", most=2)
        if self._st not in SYSTEMS:
            raise table.fault("st", f"{self._st!r}: a system of HJ 212, such as 32")
        self._pw = table.secret("password")
        if not (self._pw.isascii() and self._pw.isalnum() and len(self._pw) <= 9):
            raise table.fault("password", "up to 9 letters and digits, PW of HJ 212")
        self._variant = table.one_of("variant", ("", hj212.MODBUS_CRC), "") or None
        self._line = Line(table, self)
        table.end()

    def deliver(self, messages: list[Out], numbers: Mapping[int, str]) -> None:
        """Return when it is answered; DeliveryError."""
        for message in messages:
            self._line.deliver(hj212.encode(self._packet(message, numbers)))

    def close(self) -> None:
        """End the connection."""
        self._line.close()

    def splitter(self) -> object:
        """For Line."""
        return hj212.splitter(hj212.MODBUS_CRC)

    def answers(self, sent: bytes, came: bytes) -> bool:
        """For Line: 9014 with the QN of what was sent; some platforms answer 9011, a result."""
        asked = hj212.decode(sent, hj212.MODBUS_CRC)
        packet = hj212.decode(came, hj212.MODBUS_CRC)
        qn = packet.qn or packet.get("QN")
        if packet.cn not in ("9011", "9014") or qn != asked.qn:
            return False
        result = packet.get("QnRtn")
        if result not in (None, "1"):
            raise DeliveryError(f"the platform refuses QN {qn}: QnRtn {result}", is_lasting=True)
        return True

    def reply(self, came: bytes) -> bytes | None:
        """For Line: a request is refused, all else has no reply."""
        packet = hj212.decode(came, hj212.MODBUS_CRC)
        if packet.cn[:1] == "9" or not packet.wants_answer:
            return None
        return hj212.encode(
            hj212.Packet(
                "91", "9011", packet.mn, ((("QnRtn", _REFUSED),),), packet.qn, self._pw, _2017,
                variant=self._variant,
            )
        )  # fmt: skip

    def _packet(self, message: Out, numbers: Mapping[int, str]) -> hj212.Packet:
        items: dict[str, list[tuple[str, str]]] = {}
        worst: dict[str, int] = {}
        for quantity, value, quality in message.values:
            word = self._words[quantity]
            told = units.told(value, quantity, word.factor, word.decimals)
            name = f"{word.key}-{_KINDS[derived.figure_of(quantity)]}"
            items.setdefault(word.key, []).append((name, format(told, "f")))
            worst[word.key] = max(worst.get(word.key, 0), quality)
        groups: list[tuple[tuple[str, str], ...]] = [(("DataTime", _text(message.time_us)[:14]),)]
        for key, pairs in items.items():
            groups.append((*pairs, (f"{key}-Flag", _FLAGS[worst[key]])))
        command = _COMMANDS[derived.period_of(message.values[0][0])]
        return hj212.Packet(
            self._st, command, numbers[message.asset_id], tuple(groups), _text(message.stamp_us),
            self._pw, _2017 | _ASKS_ANSWER, variant=self._variant,
        )  # fmt: skip


def _text(us: int) -> str:
    """A time in China as 17 digits."""
    when = (_EPOCH + timedelta(microseconds=us)).astimezone(BEIJING)
    return f"{when:%Y%m%d%H%M%S}{when.microsecond // 1000:03d}"
