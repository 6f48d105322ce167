"""`esp32` of the virtual board; its signatures are those of the ESP32 port."""

import _rom
from micropython import const

_LAZY = const(0)
if _LAZY:  # for who reads: the VM takes them by __getattr__
    from _esp32_more import (  # noqa: F401  # noqa: F401
        gpio_deep_sleep_hold,
        mcu_temperature,
        raw_temperature,
        wake_on_ext0,
        wake_on_ext1,
        wake_on_gpio,
        wake_on_ulp,
    )
    from _esp32_nvs import NVS  # noqa: F401
    from _esp32_parts import Partition  # noqa: F401
    from _esp32_pcnt import PCNT  # noqa: F401
    from _esp32_ulp import ULP  # noqa: F401

WAKEUP_ALL_LOW = False
WAKEUP_ANY_HIGH = True


def __getattr__(name):
    return _rom.load("esp32", name)
