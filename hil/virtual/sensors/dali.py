"""A DALI line: an LW14 bridge on I2C (Code Mercenaries) and control gear (IEC 62386-102).

What the firmware uses is modelled: direct arc power, queries, the time that frames take, gear that
comes up at its power-on level and is deaf while it does.
"""

from collections.abc import Callable

BRIDGE_ADDRESS = 0x23
_STATUS, _FRAME, _SIGNATURE = 0x00, 0x01, 0xF0
_ONE_BYTE, _TIMELY, _VALID, _GARBLED = 0x01, 0x04, 0x08, 0x10
_BUSY, _FAULT = 0x40, 0x80
FORWARD_US = 15_833 + 9_167  # 38 Te of 416.67 us, and the pause of 22 Te behind it
BACKWARD_US = 9_167
DEAF_US = 600_000  # after its supply came on (62386-101)
_STATUS_Q, _PRESENT, _LAMP_FAILURE, _LAMP_ON, _LEVEL = 0x90, 0x91, 0x92, 0x93, 0xA0
_OFF, _MAX, _MIN = 0x00, 0x05, 0x06


class Gear:
    """One control gear. `supplied` tells whether its mains are on, `now` the time in us.

    The world sets `lamp_failed` and `broken` (it does not answer any more).
    """

    def __init__(self, short: int, supplied: Callable[[], bool], now: Callable[[], int]) -> None:
        self.short = short
        self.lamp_failed = False
        self.broken = False
        self.power_on_level = 254
        self._level = 0
        self._supplied = supplied
        self._now = now
        self._since_us: int | None = None

    @property
    def level(self) -> int:
        """Its arc power level, 0..254."""
        self._look()
        return self._level if self._supplied() and not self.broken else 0

    @property
    def permille(self) -> int:
        """Its light by the logarithmic curve (62386-102, 9.3)."""
        level = self.level
        return round(10 ** (3 * (level - 1) / 253)) if level else 0

    def hears(self, address: int, data: int) -> int | None:
        """A frame on the line: the answer, None for silence."""
        self._look()
        mine = address | 1 == 0xFF or address >> 1 == self.short
        if not mine or self.broken or self._since_us is None:
            return None
        if self._now() - self._since_us < DEAF_US:
            return None
        if not address & 1:
            if data < 0xFF:
                self._level = data
            return None
        if data in (_OFF, _MAX, _MIN):
            self._level = {_OFF: 0, _MAX: 254, _MIN: 1}[data]
        return self._answer(data)

    def _answer(self, query: int) -> int | None:
        on = self._level > 0 and not self.lamp_failed
        if query == _STATUS_Q:
            return self.lamp_failed << 1 | on << 2
        if query == _LEVEL:
            return 0 if self.lamp_failed else self._level
        yes = {_PRESENT: True, _LAMP_FAILURE: self.lamp_failed, _LAMP_ON: on}.get(query, False)
        return 0xFF if yes else None

    def _look(self) -> None:
        # Its supply is looked at when somebody asks: a relay that opened has it start anew.
        if not self._supplied():
            self._since_us = None
        elif self._since_us is None:
            self._since_us = self._now()
            self._level = self.power_on_level


class Lw14:
    """The bridge. The world sets `unpowered`: the line's own supply is gone."""

    def __init__(self, gear: list[Gear], now: Callable[[], int]) -> None:
        self.gear = gear
        self.unpowered = False
        self.frames: list[tuple[int, int]] = []  # that were sent
        self._now = now
        self._busy_until = 0
        self._answer: tuple[int, int, int] | None = None  # due at, status bits, byte

    def supply_changed(self) -> None:
        """The relay before the gear moved: their time since power-on begins now."""
        for gear in self.gear:
            gear._look()

    def transfer(self, written: bytes, size: int) -> bytes:
        """I2cDevice."""
        register, data = (written[0], written[1:]) if written else (_STATUS, b"")
        if len(data) == 2 and register == _FRAME:
            self._send(data[0], data[1])
        if not size:
            return b""
        if register == _STATUS:
            return bytes((self._status(),))
        if register == _FRAME:
            return self._take()
        if register == _SIGNATURE:
            return b"LW14\x01\x00"
        return b""

    def _send(self, address: int, data: int) -> None:
        now = self._now()
        if self.unpowered or now < self._busy_until:
            return
        self.frames.append((address, data))
        self._busy_until = now + FORWARD_US
        self._answer = None
        said = [gear.hears(address, data) for gear in self.gear]
        answers = [answer for answer in said if answer is not None]
        if answers:
            bits = _VALID | _ONE_BYTE | _TIMELY if len(answers) == 1 else _GARBLED
            self._answer = (self._busy_until + BACKWARD_US, bits, answers[0])

    def _status(self) -> int:
        now = self._now()
        status = _FAULT if self.unpowered else 0
        if now < self._busy_until:
            status |= _BUSY
        if self._answer is not None and now >= self._answer[0]:
            status |= self._answer[1]
        return status

    def _take(self) -> bytes:
        if self._answer is None or self._now() < self._answer[0]:
            return b"\0"
        byte = self._answer[2]
        self._answer = None
        return bytes((byte,))
