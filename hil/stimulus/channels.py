"""The wires to the node, by the names of the node's pins: contacts, voltages, and its outputs.

A channel is one of {"pin": n, "idle": 0|1, "drain": true, "second": m}, a contact that drives, or
only pulls to ground; {"pwm": n, "full_mv": mV behind its filter, "shunt_ohm": of the node, "mv":
at rest}; {"dac": n, ...}; {"in": n}.
"""

import machine

_PWM_HZ = 20_000  # far above what 10 kOhm and 1 uF let through
_FULL_MV = 3300


class ChannelError(ValueError):
    """There is no such channel, or it cannot do that."""


class Channel:
    """A wire; each kind does what it can."""

    def contact(self) -> "Contact":
        """Itself, where it is one."""
        raise ChannelError("the channel is no contact")

    def set(self, millivolts) -> None:
        """A voltage."""
        raise ChannelError("the channel gives no voltage")

    def flow(self, microamperes) -> None:
        """A current."""
        raise ChannelError("the channel gives no current")

    def read(self) -> int:
        """Its level."""
        raise ChannelError("the channel has no level")

    def rest(self) -> None:
        """As when it was wired."""


class Contact(Channel):
    """A digital input of the node."""

    def __init__(self, wire):
        self.idle = wire.get("idle", 0)
        mode = machine.Pin.OPEN_DRAIN if wire.get("drain") else machine.Pin.OUT
        self.pin = machine.Pin(wire["pin"], mode, value=self.idle)
        second = wire.get("second")
        self.second = None if second is None else machine.Pin(second, mode, value=self.idle)

    def contact(self) -> "Contact":
        return self

    def read(self) -> int:
        return self.pin()

    def rest(self) -> None:
        """Both contacts."""
        for pin in (self.pin, self.second):
            if pin is not None:
                pin(self.idle)


class Voltage(Channel):
    """An analogue input of the node."""

    def __init__(self, wire):
        self._full = wire.get("full_mv", _FULL_MV)
        self._shunt = wire.get("shunt_ohm", 150)
        self._rests = wire.get("mv", 0)
        if "dac" in wire:
            self._write = machine.DAC(machine.Pin(wire["dac"])).write
            self._most = 255
        else:
            pwm = machine.PWM(machine.Pin(wire["pwm"]), freq=_PWM_HZ, duty_u16=0)
            self._write = pwm.duty_u16
            self._most = 65535
        self.rest()

    def set(self, millivolts) -> None:
        if not 0 <= millivolts <= self._full:
            raise ChannelError("0 to %d mV" % self._full)
        self._write(millivolts * self._most // self._full)

    def flow(self, microamperes) -> None:
        """What that current leaves over the node's shunt."""
        self.set(microamperes * self._shunt // 1000)

    def rest(self) -> None:
        """The voltage that the wire began with."""
        self.set(self._rests)


class Output(Channel):
    """An output of the node."""

    def __init__(self, wire):
        self._pin = machine.Pin(wire["in"], machine.Pin.IN)

    def read(self) -> int:
        return self._pin()


_KINDS = (("pin", Contact), ("pwm", Voltage), ("dac", Voltage), ("in", Output))


def made(wire):
    """A channel of this wire."""
    for key, kind in _KINDS:
        if key in wire:
            return kind(wire)
    raise ChannelError("a wire has pin, pwm, dac or in")
