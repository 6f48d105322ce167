"""A luminaire dimmed by DALI (IEC 62386-102) over an LW14 bridge on I2C, with a relay before it.

LW14, Code Mercenaries: register 0 is the status, 1 the frame to send or the answer that came.
"""

import time

import machine
from micropython import const

from node.sense.luminaire import FAILED, SILENT, WELL

_BRIDGE = const(0x23)  # its address as delivered
_STATUS, _FRAME = const(0), const(1)
_BUSY, _FAULT, _GARBLED, _VALID = const(0x40), const(0x80), const(0x10), const(0x08)
_STEP_MS = const(3)
_STEPS = const(20)  # a frame of 16 bits, the pause behind it and its answer take 42 ms
_WARM_MS = const(700)  # a gear is to take frames 600 ms after its supply came on
_ALL = const(255)
_PRESENT, _LAMP_FAILURE, _LEVEL = const(0x91), const(0x92), const(0xA0)  # queries
_RATIO = const(1_027_679_533)  # 10 ** (3 / 253) in billionths: from one level to the next
_UNIT = const(1_000_000_000)


def level_of(permille: int) -> int:
    """The arc power level, 1..254 and 0 for off, whose light is nearest (62386-102, 9.3)."""
    if not permille:
        return 0
    level = 1
    light = _UNIT  # of this level, in billionths of a permille
    wanted = permille * _UNIT
    while level < 254:
        brighter = light * _RATIO // _UNIT
        if 2 * wanted < light + brighter:
            break
        light = brighter
        level += 1
    return level


class Dali:
    """As `luminaire.Luminaire`. `address`: 0..63, or 255 for whatever is on the line.

    A bridge that does not answer is no error here: `look` says SILENT, the relay does its work.
    """

    def __init__(self, scl: int, sda: int, relay: int, address: int) -> None:
        self._i2c = machine.I2C(0, scl=machine.Pin(scl), sda=machine.Pin(sda), freq=100_000)
        self._relay = machine.Pin(relay, machine.Pin.OUT, value=0)
        self._address = 0xFE if address == _ALL else address << 1
        self.dim = 0

    def set(self, permille: int) -> None:
        """Drive the lamp at 0..1000 permille."""
        if permille and not self._relay.value():
            self._relay.value(1)
            time.sleep_ms(_WARM_MS)
        self.dim = permille
        self._send(self._address, level_of(permille))
        if not permille:
            self._relay.value(0)

    def look(self) -> int:
        """WELL, FAILED when a lamp is, SILENT when no gear answers. A gear that is at another
        level than it was told, since its supply failed, is told again. While it is off: WELL.
        """
        if not self.dim:
            return WELL
        if self._ask(_PRESENT) is None:
            return SILENT
        if self._ask(_LAMP_FAILURE) is not None:
            return FAILED
        level = level_of(self.dim)
        if self._ask(_LEVEL) not in (None, -1, level):
            self._send(self._address, level)
        return WELL

    def _ask(self, query: int) -> "int | None":
        # The answer; -1 where several spoke at once; None: nobody did.
        if not self._send(self._address | 1, query):
            return None
        for _ in range(_STEPS):
            time.sleep_ms(_STEP_MS)
            status = self._status()
            if status & _GARBLED:
                return -1
            if status & _VALID:
                return self._i2c.readfrom_mem(_BRIDGE, _FRAME, 1)[0]
        return None

    def _send(self, address: int, data: int) -> bool:
        # Whether the frame went out.
        try:
            if not self._idle():
                return False
            self._i2c.readfrom_mem(_BRIDGE, _FRAME, 1)  # an old answer goes
            self._i2c.writeto_mem(_BRIDGE, _FRAME, bytes((address, data)))
        except OSError:
            return False
        return self._idle()

    def _idle(self) -> bool:
        for _ in range(_STEPS):
            status = self._status()
            if status & _FAULT:
                return False
            if not status & _BUSY:
                return True
            time.sleep_ms(_STEP_MS)
        return False

    def _status(self) -> int:
        try:
            return self._i2c.readfrom_mem(_BRIDGE, _STATUS, 1)[0]
        except OSError:
            return _FAULT
