"""What ends deep sleep, and what else of `esp32` a wake needs at its end at most."""

import _link
import _ops

_taken = None  # by EXT0 or by the ULP: MicroPython has not both at once


def _wake(source, pins, level):
    numbers = bytes([pin._number for pin in pins])
    fit = _link.hello()["chip"]["rtc_pins"] if numbers else ()
    for number in numbers:
        if number not in fit:
            raise ValueError("invalid pin")
    _link.call(_ops.WAKE, bytes((source, 1 if level else 0)) + numbers)


def _take(what, wanted):
    global _taken  # noqa: PLW0603
    if _taken not in (None, what):
        raise ValueError("no resources")
    _taken = what if wanted else None


def wake_on_ext0(pin=None, level=False):
    _take("ext0", pin is not None)
    _wake(_ops.EXT0, () if pin is None else (pin,), level)


def wake_on_ext1(pins=None, level=False):
    _wake(_ops.EXT1, pins or (), level)


def wake_on_gpio(pins=None, level=False):
    _wake(_ops.GPIO, pins or (), level)


def wake_on_ulp(wake):
    _take("ulp", wake)
    _link.call(_ops.ULP_WAKE, bytes((1 if wake else 0,)))


def raw_temperature():
    return 77  # degrees Fahrenheit, 25 degrees Celsius


def mcu_temperature():
    return 25  # degrees Celsius


def gpio_deep_sleep_hold(enable):
    return None
