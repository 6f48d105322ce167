"""`machine`, `sys` and the language as the port builds them."""

import sys

import machine

fact("system.reset-causes", lambda: (machine.PWRON_RESET, machine.HARD_RESET, machine.WDT_RESET,
     machine.DEEPSLEEP_RESET, machine.SOFT_RESET))  # fmt: skip
fact("system.wake-reasons", lambda: (machine.EXT0_WAKE, machine.EXT1_WAKE, machine.TIMER_WAKE,
     machine.ULP_WAKE))  # fmt: skip
fact("system.id", lambda: (type(machine.unique_id()).__name__, len(machine.unique_id())))
fact("system.freq", lambda: machine.freq() in (160000000, 240000000))
fact("system.freq-set", lambda: machine.freq(160000000))
fact("system.freq-other", lambda: machine.freq(1000000))
fact("system.freq-240", lambda: machine.freq(240000000))
fact("system.name", lambda: sys.implementation.name)
fact("system.version", lambda: sys.implementation.version[:2] >= (1, 28))
fact("system.mpy", lambda: sys.implementation._mpy & 0x3FF)
fact("system.platform", lambda: sys.platform)
fact("system.maxsize", lambda: sys.maxsize)
fact("system.float", lambda: 1 / 3)
fact("system.byteorder", lambda: sys.byteorder)
fact("system.names", lambda: missing(machine, "ADC ADCBlock I2C Pin PWM RTC SPI Signal SoftI2C "
     "SoftSPI Timer UART WDT bitstream bootloader deepsleep lightsleep disable_irq enable_irq "
     "freq idle mem8 mem16 mem32 reset reset_cause soft_reset sleep time_pulse_us unique_id "
     "wake_reason PIN_WAKE SLEEP DEEPSLEEP"))  # fmt: skip
