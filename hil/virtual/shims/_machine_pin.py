"""`machine.Pin` over the board's channel."""

import _link
import _ops


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    WAKE_LOW = 4
    WAKE_HIGH = 5

    def __init__(self, id, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        number = id._number if isinstance(id, Pin) else id
        if not isinstance(number, int) or not 0 <= number <= 48:
            raise ValueError("invalid pin")
        self._number = number
        self._handler = None
        if mode != -1 or pull != -1 or value is not None or hold is not None:
            self.init(mode, pull, value=value, drive=drive, hold=hold)

    def init(self, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        if value is not None:
            self.value(value)
        fields = (self._number, mode & 255, (pull or 0) & 255, 255 if hold is None else hold)
        _link.call(_ops.PIN_MODE, bytes(fields))

    def value(self, x=None):
        if x is None:
            return _link.call(_ops.PIN_READ, bytes((self._number,)))[0]
        _link.call(_ops.PIN_WRITE, bytes((self._number, 1 if x else 0)))
        return None

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(1 - self.value())

    def irq(self, handler=None, trigger=3, *, wake=None, hard=False):
        self._handler = handler
        if handler is None:
            trigger = 0
            _link.edges.pop(self._number, None)
        else:
            _link.edges[self._number] = self._edge
        _link.call(_ops.PIN_IRQ, bytes((self._number, trigger)))
        return self

    def _edge(self, flags):
        self._flags = flags[0]
        self._handler(self)

    def flags(self):
        return self._flags

    def __repr__(self):
        return "Pin(%d)" % self._number
