"""The fixture `node`: what a test has of the node under test, virtual or real.

For authors of tests:

    node.id .type .board .place     node id, node type, board's name, place's name
    node.to("asleep"), node.state   off, loader, flashed, provisioned, online, asleep
    node.console.expect(r"regex", seconds) -> match; .mark(), .since(mark), .lines()
    node.prompt.eval("1 + 1"), .exec(code) -> what it prints; with node.prompt.visit() as repl: ...
                                    the node runs on (machine.reset()) when the visit ends
    node.wait(seconds)              so much of the node's time; node.now_us
    node.hurry(8)                   for downloads: time is real while a socket is open, but now
    node.wake()                     its button, once it sleeps: the next contact is now
    node.reset(cause)               "pin", "power", "hard", "soft", "watchdog", "deep-sleep"
    node.configure({"report_s": 3600})    this configuration beside its type's; it boots
    node.provision({"report_s": 3600})    a new identity too
    node.carry(bundle, {...})       flashed with a release, as by kapok flash --bundle
    node.spoilt()                   the next test gets one with a new identity; .blank(): from
                                    blank flash
    node.status()                   {"state", "boots", "resets", "last"} on the virtual rig
    node.until(predicate, seconds)  as soon as true, node time passing

@pytest.mark.node("gas-meter", config={...}) chooses type and configuration, @pytest.mark.start
("off") another state than online. A test starts with a node that has reported to the fleet since
its power-on; its clock is real time within a minute. On the virtual rig time passes only in wait
and until, and stands still between them; on a bench it goes on. Each test begins with real time
again, so on the virtual rig its clock goes back by what the test before has waited: a gas meter
freezes nothing until the hours that it had are over (wait for a first gas_volume).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fleet.flashing.hardware import load_node_type
from hil.errors import NodeFault
from hil.places import Place

SLEEPERS = ("gas-meter", "drainage")  # roles that sleep deeply
SLEEPS_S = 300.0  # within which they do
_CAUSES = {
    "hard": "import machine; machine.reset()",
    "watchdog": "import machine; machine.WDT(timeout=1000)\nwhile True: pass",
    "deep-sleep": "import machine; machine.deepsleep(1000)",
}


class Node:
    """The node at `place`."""

    def __init__(self, place: Place) -> None:
        self._held = place
        self._strategy = place.strategy
        self.place = place.name
        self.board = place.board

    @property
    def id(self) -> str:
        """Its node id, once it was provisioned."""
        return str(self._strategy.node_id)

    @property
    def type(self) -> str:
        """Its node type."""
        return str(self._strategy.node_type)

    @property
    def state(self) -> str:
        """Where the strategy has brought it; a node that was online may sleep since."""
        return str(self._strategy.status.name)

    def to(self, state: str) -> None:
        """Bring it there."""
        self._strategy.transition(state)

    @property
    def console(self) -> Any:
        """See hil.protocols.NodeConsole."""
        return self._strategy.console

    @property
    def prompt(self) -> Any:
        """See hil.protocols.Prompt."""
        return self._strategy.prompt

    @property
    def flash(self) -> Any:
        """See hil.protocols.Attempts."""
        return self._strategy.flash

    @property
    def line(self) -> Any:
        """See hil.protocols.BoardLine; on the virtual rig hil.drivers.bench.BenchDriver."""
        return self._strategy.line

    @property
    def now_us(self) -> int:
        """Its rig's time, microseconds since 1970."""
        return int(self._strategy.clock.now_us())

    def wait(self, seconds: float) -> None:
        """Let so much of the node's time pass."""
        self._strategy.clock.wait(seconds)

    def hurry(self, times: float) -> None:
        """For this test: see hil.protocols.Clock."""
        self._strategy.clock.hurry(times)

    def until(self, what: Callable[[], Any], seconds: float, step_s: float = 1.0) -> Any:
        """What `what` gives as soon as that is true; NodeFault when the time has passed."""
        found = self._strategy.clock.until(what, seconds, step_s)
        if not found:
            raise NodeFault(f"it did not come true within {seconds} s: {self.status()}")
        return found

    @property
    def asleep(self) -> bool:
        """Whether it is in deep sleep now."""
        return bool(self._strategy.line.asleep())

    def wake(self) -> None:
        """Its button, once it sleeps: the next contact is now."""
        if load_node_type(self.type).role in SLEEPERS and not self.asleep:
            self._strategy.clock.until(self._strategy.line.asleep, SLEEPS_S)
        self._strategy.line.press("button")

    def press(self, pin: str) -> None:
        """A button at another pin."""
        self._strategy.line.press(pin)

    def reset(self, cause: str = "pin") -> None:
        """As its users, its supply or its own firmware would reset it."""
        if cause == "pin":
            self._strategy.line.reset()
        elif cause == "power":
            self.console.close()
            self._strategy.supply.cycle()
            self.console.open()
        elif cause == "soft":
            self.prompt.restart()
        else:
            self.prompt.leave(_CAUSES[cause])

    def unplug(self) -> None:
        """Its supply goes now, whoever has its port."""
        self._strategy.supply.off()

    def provision(self, config: Mapping[str, Any] | None = None) -> None:
        """A new identity, and this configuration beside its type's; it boots."""
        self._strategy.spoilt()
        self._strategy.config = dict(config or {})
        self._strategy.transition("provisioned")

    def configure(self, config: Mapping[str, Any]) -> None:
        """This configuration beside its type's, by its prompt; it boots."""
        self._strategy.config = dict(config)
        self._strategy.transition("provisioned")

    def spoilt(self) -> None:
        """Its flash is no more as it was provisioned: the next test gets it anew."""
        self._strategy.spoilt()

    def carry(self, bundle: Path, config: Mapping[str, Any] | None = None) -> None:
        """For this test: the application of a release in its first slot; it boots."""
        self._strategy.bundle = bundle
        self._strategy.config = dict(config or {})
        self._strategy.transition("provisioned")

    def blank(self) -> None:
        """Its firmware is no more this tree's: the next test gets it flashed anew."""
        self._strategy.blank()

    def status(self) -> dict[str, Any]:
        """What the rig knows of it now."""
        told: dict[str, Any] = self._strategy.line.told()
        return {"place": self.place, "strategy": self.state, **told}
