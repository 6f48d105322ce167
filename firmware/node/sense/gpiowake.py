"""Who ended deep sleep, where one wake reason stands for several pins: EXT1, GPIO on an ESP32-C3.

The chip tells only that one called (`machine.wake_pins` is newer than the oldest runtime).
"""

import machine
from micropython import const

GPIO_WAKE = const(7)  # machine.wake_reason(): ESP_SLEEP_WAKEUP_GPIO, which has no name there


def reason(pins: dict, armed) -> int:
    """Who called, as EXT0_WAKE (a sensor) or EXT1_WAKE (the button). `armed`: the names of the
    sensors' lines that were waited for.

    A sensor holds its line until it is served; a button may have been let go before the chip was
    up, so it is the one that called when nobody does any more.
    """
    if not armed:
        return machine.EXT1_WAKE
    button = pins.get("button")
    pressed = button is not None and machine.Pin(button, machine.Pin.IN).value()
    calling = any(machine.Pin(pins[name], machine.Pin.IN).value() for name in armed)
    if button is None or (calling and not pressed):
        return machine.EXT0_WAKE
    return machine.EXT1_WAKE
