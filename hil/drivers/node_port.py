"""A real board at a serial port: reset and strap by DTR and RTS, and real time."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.step import step

from fleet.flashing import lines, ports
from fleet.flashing.console import Console
from fleet.flashing.errors import FlashError
from fleet.flashing.hardware import load_node_type
from fleet.flashing.ports import Port
from hil.faults import RigFault
from hil.node import SLEEPERS
from hil.protocols import BoardLine, Clock, Stimulus

QUIET_S = 15.0  # a node that has said nothing for so long sleeps, as far as its port can tell
LOOK_S = 0.1


@target_factory.reg_driver
@attr.s(eq=False)
class NodePortDriver(Driver, BoardLine, Clock):
    """Its buttons are the stimulus board's relays of their names, where there is one."""

    bindings = {"node": "NodePort", "stimulus": {Stimulus, None}}  # noqa: RUF012  labgrid's way

    @Driver.check_active
    def port(self) -> Port:
        """As `kapok ports` finds it; RigFault where it is not plugged in."""
        wanted = self.node
        try:
            if wanted.serial:
                there = [one for one in ports.usb_ports() if one.serial_number == wanted.serial]
                if not there:
                    raise RigFault(
                        f"{self.target.name}: no port has the serial number {wanted.serial!r}:"
                        " kapok ports lists those that are there"
                    )
                return self._bridge(there[0])
            return self._bridge(ports.one(wanted.port))
        except FlashError as e:
            raise RigFault(f"{self.target.name}: {e}") from None

    def _bridge(self, port: Port) -> Port:
        """The port; RigFault where deep sleep would take it away."""
        roles = {load_node_type(name).role for name in self.node.nodes}
        if port.native_usb and not roles.isdisjoint(SLEEPERS):
            raise RigFault(
                f"{self.target.name}: {port.name} is the chip's own USB, which is gone while the "
                "node sleeps: wire its UART to a USB bridge with DTR and RTS (docs/hil.md)"
            )
        return port

    @Driver.check_active
    @step()
    def reset(self) -> None:
        """A pulse on EN."""
        self._pull(lines.reset)

    @Driver.check_active
    @step()
    def loader(self) -> None:
        """EN with the strap low."""
        self._pull(lines.enter_loader)

    def _pull(self, how: Callable[[Port, Any], None]) -> None:
        port = self.port()
        try:
            if self.opened is not None:
                how(port, self.opened.line)
                return
            with Console(port) as console:
                how(port, console.line)
        except FlashError as e:
            raise RigFault(f"{self.target.name}: {e}") from None

    @Driver.check_active
    @step(args=["pin"])
    def press(self, pin: str = "button") -> None:
        """A button: for 200 ms."""
        if self.stimulus is None:
            raise RigFault(f"{self.target.name}: nothing presses buttons there: a StimulusBoard")
        self.target.activate(self.stimulus)
        self.stimulus.do(level=pin, value=1)
        time.sleep(0.2)
        self.stimulus.do(level=pin, value=0)

    def renew(self) -> None:
        """Nothing: its time is real, and what it senses is what the stimulus board last made."""

    def asleep(self) -> bool:
        """Whether nothing came for QUIET_S."""
        return time.monotonic() - self.heard_s > QUIET_S

    def told(self) -> dict[str, Any]:
        """What its port can tell."""
        return {"port": self.port().name, "quiet_s": round(time.monotonic() - self.heard_s, 1)}

    # Time

    def now_us(self) -> int:
        """Real time."""
        return time.time_ns() // 1000

    def running(self) -> AbstractContextManager[None]:
        """It always does."""
        return nullcontext()

    def hurry(self, times: float) -> None:
        """Nothing hurries a real board."""

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def until(self, what: Callable[[], Any], seconds: float, step_s: float = 1.0) -> Any:
        """As Clock."""
        end = time.monotonic() + seconds
        while not (found := what()) and time.monotonic() < end:
            time.sleep(min(step_s, LOOK_S))
        return found
