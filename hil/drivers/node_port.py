"""A real board at a serial port: reset and strap by DTR and RTS, and real time."""

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.exceptions import NoDriverFoundError
from labgrid.factory import target_factory
from labgrid.step import step

from fleet.flashing import lines, ports
from fleet.flashing.console import Console
from fleet.flashing.errors import FlashError
from fleet.flashing.hardware import load_node_type
from fleet.flashing.ports import Port
from hil.faults import RigFault
from hil.node import SLEEPERS
from hil.protocols import BoardLine, Clock, Current, Stimulus

QUIET_S = 15.0  # a node that has said nothing for so long sleeps, as far as its port can tell
LOOK_S = 0.1
PLUGGED_S = 10.0  # a hub that was switched on has its ports back within
SLEEP_UA = 1000  # a chip that runs draws twenty times as much (hw/chips), one that sleeps 1 %
METERED_S = 2.0


@target_factory.reg_driver
@attr.s(eq=False)
class NodePortDriver(Driver, BoardLine, Clock):
    """Its buttons are the stimulus board's relays of their names, where there is one."""

    bindings = {"node": "NodePort"}  # noqa: RUF012  labgrid's way

    @Driver.check_active
    def port(self) -> Port:
        """As `kapok ports` finds it, looked for until PLUGGED_S have passed: RigFault then."""
        end = time.monotonic() + PLUGGED_S
        while True:
            try:
                found = self._look()
                # udev gives it to its group a moment after it came.
                if os.access(found.path, os.R_OK | os.W_OK) or time.monotonic() >= end:
                    return found
            except RigFault:
                if time.monotonic() >= end:
                    raise
            time.sleep(LOOK_S)

    def _look(self) -> Port:
        """Where it is plugged this moment."""
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
        self.heard_s = time.monotonic()  # it is awake, though it has not said so yet
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
        # Looked up when it is wanted: what is bound must stand before this in the rig's file.
        try:
            stimulus = self.target.get_driver(Stimulus)
        except NoDriverFoundError:
            raise RigFault(
                f"{self.target.name}: nothing presses buttons there: a StimulusBoard"
            ) from None
        self.heard_s = time.monotonic()
        stimulus.do(level=pin, value=1)
        time.sleep(0.2)
        stimulus.do(level=pin, value=0)

    def renew(self) -> None:
        """Nothing: its time is real, and what it senses is what the stimulus board last made."""

    def asleep(self) -> bool:
        """By what it draws, where that is metered: a contact may be as silent as sleep. Else
        whether nothing came for QUIET_S.
        """
        try:
            meter = self.target.get_driver(Current)
        except NoDriverFoundError:
            return time.monotonic() - self.heard_s > QUIET_S
        if time.monotonic() - self.heard_s < METERED_S:
            return False
        since_us = meter.mark() - round(METERED_S * 1e6)
        if since_us < meter.begun_us:  # nobody has looked for so long
            return False
        drawn = [ua for _, ua in meter.samples(since_us)]
        return bool(drawn) and max(drawn) < SLEEP_UA

    def told(self) -> dict[str, Any]:
        """What its port can tell; `state` is off where there is none now."""
        try:
            name = self._look().name
        except RigFault:
            return {"state": "off"}
        return {"port": name, "quiet_s": round(time.monotonic() - self.heard_s, 1)}

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
