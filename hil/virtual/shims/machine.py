"""`machine` of the virtual board; its signatures are those of the ESP32 port."""

from _pin import ADC, PWM, Pin  # noqa: F401
from _power import (  # noqa: F401
    DEEPSLEEP_RESET,
    EXT0_WAKE,
    EXT1_WAKE,
    HARD_RESET,
    PIN_WAKE,
    PWRON_RESET,
    RTC,
    SOFT_RESET,
    TIMER_WAKE,
    TOUCHPAD_WAKE,
    ULP_WAKE,
    WDT,
    WDT_RESET,
    deepsleep,
    disable_irq,
    enable_irq,
    freq,
    idle,
    lightsleep,
    reset,
    reset_cause,
    soft_reset,
    unique_id,
    wake_reason,
)
from _uart import UART  # noqa: F401
