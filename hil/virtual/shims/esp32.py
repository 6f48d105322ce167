"""`esp32` of the virtual board; its signatures are those of the ESP32 port."""

import _link
import _ops
from _nvs import NVS  # noqa: F401
from _partition import Partition  # noqa: F401
from _pcnt import PCNT  # noqa: F401
from _pin import chip

WAKEUP_ALL_LOW = False
WAKEUP_ANY_HIGH = True
HEAP_EXEC = 1
HEAP_DATA = 4


def _wake(source, pins, level):
    numbers = bytes([pin._number for pin in pins])
    for number in numbers:
        if number not in chip["rtc_pins"]:
            raise ValueError("invalid pin")
    _link.call(_ops.WAKE, bytes((source, 1 if level else 0)) + numbers)


def wake_on_ext0(pin=None, level=WAKEUP_ALL_LOW):
    _wake(_ops.EXT0, () if pin is None else (pin,), level)


def wake_on_ext1(pins=None, level=WAKEUP_ALL_LOW):
    _wake(_ops.EXT1, pins or (), level)


def wake_on_gpio(pins=None, level=WAKEUP_ALL_LOW):
    _wake(_ops.GPIO, pins or (), level)


def wake_on_touch(wake):
    if wake:
        raise ValueError("no touch sensor on this board")


def wake_on_ulp(wake):
    if wake:
        raise ValueError("no ULP programme on this board")


def raw_temperature():
    return 77  # degrees Fahrenheit, 25 degrees Celsius


def mcu_temperature():
    return 25  # degrees Celsius


def gpio_deep_sleep_hold(enable):
    return None
