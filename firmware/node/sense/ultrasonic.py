"""An ultrasonic distance sensor on UART 2 that tells its distance several times a second: DFRobot
A02YYUW and its kin. A frame is FF, two bytes of mm, and the low byte of the sum of these three.
"""

import time

import machine
from micropython import const

_UNIT, _BAUD = const(2), const(9600)
_FRAMES = const(5)  # their median counts
_TIMEOUT_MS = const(2000)
_PART_MS = const(50)
NEAR_MM, FAR_MM = const(30), const(4500)  # what it can see


def distances(data: bytes) -> "list[int]":
    """The distances in mm that whole frames in `data` tell, whatever else is in there."""
    found = []
    at = 0
    while at + 4 <= len(data):
        if data[at] == 0xFF and (0xFF + data[at + 1] + data[at + 2]) & 0xFF == data[at + 3]:
            found.append(data[at + 1] << 8 | data[at + 2])
            at += 4
        else:
            at += 1
    return found


def measure(rx: int, tx: int, mount_mm: int) -> "tuple[int, bool] | None":
    """The level below a sensor that hangs `mount_mm` above the bottom, in mm, and whether it was
    near enough and not too near; None where the sensor says nothing.
    """
    uart = machine.UART(_UNIT, _BAUD, rx=machine.Pin(rx), tx=machine.Pin(tx), rxbuf=256)
    data = b""
    found: list = []
    until = time.ticks_add(time.ticks_ms(), _TIMEOUT_MS)
    while len(found) < _FRAMES and time.ticks_diff(until, time.ticks_ms()) > 0:
        time.sleep_ms(_PART_MS)
        data += uart.read() or b""
        found = distances(data)
    uart.deinit()
    if not found:
        return None
    distance = sorted(found)[len(found) // 2]
    return mount_mm - distance, NEAR_MM <= distance <= FAR_MM
