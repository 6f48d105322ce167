"""A supply that says when it fails, while the role that writes the register is not in the heap.

What a contact draws may be the reason. So it ends here, as one that failed, and the next boot, at
once, writes the register while the capacitor lasts.
"""

import machine

from node.errors import LinkError
from node.store.rtcstate import RtcState


def watch(pin) -> None:
    """From now on; the role has the pin again when it is opened."""
    pin.irq(_failed, machine.Pin.IRQ_RISING)
    if pin.value():
        _failed(pin)


def spare() -> None:
    """The next contact waits, the button's as well. All else stands as it was saved."""
    from node import retry

    saved = RtcState(machine.RTC().memory)
    saved.load()
    retry.failed(saved, LinkError.code, 0)
    saved.set("btn", 1)
    saved.save()


def _failed(_pin) -> None:
    spare()
    machine.deepsleep(1)
