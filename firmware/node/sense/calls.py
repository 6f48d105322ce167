"""Lines that call by going high, also while the role that they call is not in the heap."""

import machine


class Calls:
    """`lines` by name of what is fitted there; `called` until somebody takes it back."""

    def __init__(self) -> None:
        self.lines: dict = {}
        self.called = False

    def add(self, name: str, number: int) -> None:
        """Listen to the pin `number`."""
        pin = machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_DOWN)
        pin.irq(self._on_call, machine.Pin.IRQ_RISING)
        self.lines[name] = pin

    def _on_call(self, _pin) -> None:
        self.called = True
