"""`machine.Pin`: GPIO 4, with nothing wired to it."""

from machine import Pin

pin = Pin(4, Pin.OUT, value=0)


def after(change):
    change()
    return pin.value()


fact("pin.modes", lambda: (Pin.IN, Pin.OUT, Pin.OPEN_DRAIN))
fact("pin.pulls", lambda: (Pin.PULL_DOWN, Pin.PULL_UP))
fact("pin.triggers", lambda: (Pin.IRQ_RISING, Pin.IRQ_FALLING, Pin.WAKE_LOW, Pin.WAKE_HIGH))
fact("pin.no-such", lambda: Pin(99))
fact("pin.no-name", lambda: Pin("LED_OF_NO_BOARD"))
fact("pin.repr", lambda: pin)
fact("pin.one-object", lambda: Pin(4) is pin)
fact("pin.output-is-read", lambda: (pin.value(), after(pin.on), after(pin.off), after(pin.toggle)))
fact("pin.set", lambda: pin.value(1))
fact("pin.truth", lambda: after(lambda: pin("yes")))
fact("pin.pull-up", lambda: Pin(4, Pin.IN, Pin.PULL_UP).value())
fact("pin.pull-down", lambda: Pin(4, Pin.IN, Pin.PULL_DOWN).value())
fact("pin.input-only", lambda: refused(lambda: Pin(34, Pin.OUT)))
fact("pin.names", lambda: missing(Pin, "init value off on toggle irq board DRIVE_0 DRIVE_3"))
