"""A node's supply, by whichever switch of labgrid's: dark for long enough, and a switch that fails
is the rig's fault.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from labgrid import Target
from labgrid.exceptions import NoDriverFoundError

from hil.faults import RigFault
from hil.protocols import Clock, ModemControl

DISCHARGED_S = 2.0  # of the node's time: until capacitors are empty, and an on is a power-on


class Supply:
    """`power` is a labgrid PowerProtocol; what happens to it beside this is not known here."""

    def __init__(self, target: Target, power: Any, clock: Clock) -> None:
        self._target = target
        self._power = power
        self._clock = clock
        self._off_us: int | None = None

    def off(self) -> None:
        """At once."""
        with self._switching("off"):
            self._power.off()
        self._off_us = self._clock.now_us()

    def on(self) -> None:
        """The node and its modem boot, once they were dark for DISCHARGED_S."""
        was_off = self._off_us is not None
        if self._off_us is not None:
            dark_s = (self._clock.now_us() - self._off_us) / 1e6
            if dark_s < DISCHARGED_S:
                # Less than none: a virtual clock that began anew.
                self._clock.wait(DISCHARGED_S - max(0.0, dark_s))
            self._off_us = None
        with self._switching("on"):
            self._power.on()
        if was_off:
            with suppress(NoDriverFoundError):
                self._target.get_driver(ModemControl).power_cycle()

    def cycle(self) -> None:
        """Off and on."""
        self.off()
        self.on()

    def dip(self, ms: int) -> None:
        """Below what the chip runs from, and back, for so long: where the rig can."""
        with self._switching("dip"):
            self._power.dip(ms)

    @contextmanager
    def _switching(self, what: str) -> Iterator[None]:
        # labgrid's drivers call programs, web pages and SSH, and each fails in its own way; none
        # of them says anything about the node.
        try:
            yield
        except RigFault:
            raise
        except Exception as e:
            said = getattr(e, "stderr", None) or getattr(e, "output", None) or b""
            last = said.decode(errors="replace").strip() if isinstance(said, bytes) else ""
            why = " ".join((last or str(getattr(e, "msg", e)) or type(e).__name__).split())
            raise RigFault(
                f"{self._target.name}: {type(self._power).__name__} cannot switch {what}: {why}"
            ) from e
