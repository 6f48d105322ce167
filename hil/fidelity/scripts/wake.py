"""What ends a deep sleep: the functions of `esp32` that set it."""

import esp32
from machine import Pin

rtc, other = Pin(4), Pin(21)

fact("wake.levels", lambda: (esp32.WAKEUP_ALL_LOW, esp32.WAKEUP_ANY_HIGH))
fact("wake.ext0-no-rtc-pin", lambda: esp32.wake_on_ext0(Pin(47), esp32.WAKEUP_ANY_HIGH))
fact("wake.ext1-no-rtc-pin", lambda: esp32.wake_on_ext1((rtc, Pin(47)), esp32.WAKEUP_ANY_HIGH))
fact("wake.ext0", lambda: esp32.wake_on_ext0(rtc, esp32.WAKEUP_ANY_HIGH))
fact("wake.ulp-beside-ext0", lambda: esp32.wake_on_ulp(True))
fact("wake.ext0-off", lambda: esp32.wake_on_ext0(None))
fact("wake.ulp", lambda: esp32.wake_on_ulp(True))
fact("wake.ext0-beside-ulp", lambda: esp32.wake_on_ext0(rtc, esp32.WAKEUP_ANY_HIGH))
fact("wake.ulp-memory", lambda: esp32.ULP.RESERVE_MEM)
fact("wake.ulp-no-program", lambda: esp32.ULP().load_binary(0, b"not a program"))
fact("wake.names", lambda: missing(esp32, "wake_on_touch wake_on_ext0 wake_on_ext1 wake_on_ulp "
     "wake_on_gpio gpio_deep_sleep_hold mcu_temperature idf_heap_info NVS Partition PCNT RMT ULP "
     "HEAP_DATA HEAP_EXEC"))  # fmt: skip
