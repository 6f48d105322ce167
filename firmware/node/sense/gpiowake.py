"""Calls that end deep sleep on chips without EXT0 and EXT1 (ESP32-C3): levels of GPIO 0 to 5.

Such a chip knows one level for all its pins, and tells only that one of them called.
"""

import esp32
import machine
from micropython import const

GPIO_WAKE = const(7)  # machine.wake_reason(): ESP_SLEEP_WAKEUP_GPIO, which has no name there
_pins = []
_opens = []


def open(pin: machine.Pin) -> None:  # noqa: A001  gpiowake.open(pin): its opening wakes
    """The low level of this pin ends the next deep sleep, and no other does."""
    _opens.append(pin)
    esp32.wake_on_gpio((pin,), esp32.WAKEUP_ALL_LOW)


def add(pin: machine.Pin) -> None:
    """A high level of this pin too ends the next deep sleep."""
    if _opens:
        return
    _pins.append(pin)
    esp32.wake_on_gpio(tuple(_pins), esp32.WAKEUP_ANY_HIGH)


def reason(pins: dict) -> int:
    """Who called, as EXT0_WAKE (the sensor, a meter's contact) or EXT1_WAKE (the button).

    The sensor holds its line until it is served; a button may have been let go before the chip
    was up, so it is the one that called when nobody does any more. Not so at a meter, whose pulses
    are many: there it is the button only while it is down.
    """
    sensor, button = pins.get("wake"), pins.get("button")
    pressed = button is not None and machine.Pin(button, machine.Pin.IN).value()
    if "pulse" in pins and not pressed:
        return machine.EXT0_WAKE
    if sensor is None:
        return machine.EXT1_WAKE
    calling = machine.Pin(sensor, machine.Pin.IN).value()
    if button is None or (calling and not pressed):
        return machine.EXT0_WAKE
    return machine.EXT1_WAKE
