"""`machine.UART`: unit 1 hears what it sends. On a board tx and rx are one and the same pin."""

import time

from machine import UART

PIN = 17
uart = UART(1, 115200, tx=PIN, rx=PIN, timeout=50)
time.sleep_ms(5)
uart.read()


def heard(data):
    uart.write(data)
    time.sleep_ms(60)
    return uart.any()


def waited():
    before = time.ticks_ms()
    uart.read(1)
    return 45 <= time.ticks_diff(time.ticks_ms(), before) < 90


fact("uart.constants", lambda: (UART.IRQ_RX, UART.IRQ_RXIDLE, UART.IRQ_BREAK))
fact("uart.no-unit", lambda: UART(9))
fact("uart.nothing", lambda: uart.read(1))
fact("uart.timeout", waited)
fact("uart.readinto-nothing", lambda: uart.readinto(bytearray(3)))
fact("uart.readline-nothing", lambda: uart.readline())
fact("uart.write", lambda: uart.write(b"ab\ncd"))
fact("uart.flush", lambda: uart.flush())
fact("uart.txdone", lambda: uart.txdone())
fact("uart.any", lambda: heard(b""))
fact("uart.readline", lambda: uart.readline())
fact("uart.read", lambda: uart.read())
fact("uart.default-256", lambda: 129 <= heard(bytes(300)) <= 256)
fact("uart.overrun-lost", lambda: len(uart.read()) < 300)
fact("uart.rxbuf-small", lambda: UART(2, 9600, tx=4, rx=5, rxbuf=128))
fact("uart.bits", lambda: UART(1, bits=9))
fact("uart.stop", lambda: UART(1, stop=3))
fact("uart.irq-trigger", lambda: uart.irq(print, 0x800))
fact("uart.irq-hard", lambda: uart.irq(print, UART.IRQ_RX, True))
fact("uart.irq-handler", lambda: uart.irq(5, UART.IRQ_RX))
fact("uart.init", lambda: uart.init(9600, bits=7, parity=1, stop=2))
fact("uart.deinit", lambda: uart.deinit())
fact("uart.names", lambda: missing(UART, "init deinit flush read readline readinto write any "
     "txdone sendbreak irq INV_TX INV_RX INV_RTS INV_CTS RTS CTS"))  # fmt: skip
