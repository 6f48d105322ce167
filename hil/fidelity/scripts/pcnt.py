"""`esp32.PCNT`: unit 0 on GPIO 5, where nothing changes."""

from esp32 import PCNT
from machine import Pin

pcnt = PCNT(0, pin=Pin(5, Pin.IN, Pin.PULL_DOWN), rising=PCNT.INCREMENT, filter=1023)

fact("pcnt.modes", lambda: (PCNT.IGNORE, PCNT.INCREMENT, PCNT.DECREMENT))
fact("pcnt.no-unit", lambda: PCNT(99))
fact("pcnt.filter-over", lambda: pcnt.init(filter=1024))
fact("pcnt.value-only-zero", lambda: pcnt.value(5))
fact("pcnt.start", lambda: pcnt.start())
fact("pcnt.value", lambda: pcnt.value())
fact("pcnt.clear", lambda: pcnt.value(0))
fact("pcnt.channel", lambda: pcnt.init(channel=2))
fact("pcnt.limits", lambda: pcnt.init(min=-100, max=100))
fact("pcnt.stop", lambda: pcnt.stop())
fact("pcnt.names", lambda: missing(PCNT, "init deinit value irq start stop"))
