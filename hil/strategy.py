"""The states that a node is brought to: off, loader, flashed, provisioned, online, asleep."""

import enum
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attr
from labgrid.factory import target_factory
from labgrid.step import step
from labgrid.strategy import Strategy

import hil.drivers
import hil.resources  # noqa: F401  makes them known to labgrid
from hil.errors import NodeFault
from hil.faults import RigFault
from hil.supply import Supply

if TYPE_CHECKING:
    from hil.fleet import Fleet

BOOT_S = 60.0  # of the node's time, from reset to the self-test's line
ONLINE_S = 900.0  # from power-on to a receipt: an attach may take minutes
ASLEEP_S = 900.0
DEAD_STARTS = 2  # in sequence, of a node from blank flash: a wire, or no such node any more


class Status(enum.Enum):
    """`unknown`: nobody has looked, or what was done to it is not to be trusted."""

    unknown = 0
    off = 1
    loader = 2
    flashed = 3
    provisioned = 4
    online = 5
    asleep = 6


@target_factory.reg_driver
@attr.s(eq=False)
class NodeStrategy(Strategy):
    """`wants` says what is to stand there, `transition` brings it to a state.

    What lies in flash is remembered: it is neither flashed nor provisioned again.
    """

    bindings = {  # noqa: RUF012  labgrid's way
        "line": "BoardLine", "power": "PowerProtocol", "clock": "Clock", "console": "NodeConsole",
        "prompt": "Prompt", "flash": "Flash",
    }  # fmt: skip

    status: Status = attr.ib(default=Status.unknown)
    broken: BaseException | None

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.supply = Supply(self.target, self.power, self.clock)
        self.node_type = ""
        self.config: dict[str, Any] = {}
        self.fleet: Fleet | None = None
        self.node_id = ""
        self.bundle: Path | None = None  # the release that it is to run; None: this tree
        self._flashed: tuple[str, Path | None] = ("", None)  # node type and bundle that lie there
        self.made_anew = ""  # the node's fault for which the last `bring` began from blank flash
        self._dead: list[Status] = []  # where it did not get, test after test, from blank flash
        self._worn = False  # whether a test had it since it was flashed
        self._identity: tuple[str, object] | None = None  # node type and fleet
        self._provisioned: dict[str, Any] = {}  # the configuration that came with it
        self._config: dict[str, Any] | None = {}  # what it has beside; None: nobody knows

    def wants(self, node_type: str, config: Mapping[str, Any], fleet: "Fleet") -> None:
        """From the next transition on."""
        self.node_type, self.config, self.fleet = node_type, dict(config), fleet
        self.bundle = None

    def reconfigured(self) -> None:
        """Its configuration may be another one: it is written anew before the next test."""
        self._config = None
        if not self._provisioned:  # nobody has looked at what it came with, and now it is gone
            self.spoilt()

    def spoilt(self) -> None:
        """What lies in its flash is not what was written: an identity is made anew next time."""
        self._identity = None

    def blank(self) -> None:
        """Its firmware is not to be trusted either."""
        self._flashed = ("", None)
        self._identity = None

    def begin(self) -> None:
        """Before a test: what the one before did to clock, air and stimulus is gone."""
        self._activate()
        self.console.close()
        self.line.renew()
        self.status = Status.off if self.line.told().get("state") == "off" else Status.unknown

    def bring(self, status: "Status | str") -> None:
        """As `transition`, before a test: what an earlier one did to a node is no fault of this
        one, so a node that does not get there is made anew from blank flash, once; `made_anew`
        says why. DEAD_STARTS tests in sequence for which even that did not help break it.
        """
        self.made_anew = ""
        wanted = Status[status] if isinstance(status, str) else status
        try:
            self._bring(wanted)
        except NodeFault as e:
            self._dead.append(wanted)
            if len(self._dead) >= DEAD_STARTS:
                self.broken = NodeFault(
                    f"{len(self._dead)} starts in sequence failed, from blank flash: {e}"
                )
            raise
        # That a supply goes off says nothing of a node that does not report.
        if all(wanted.value >= min(dead.value, Status.online.value) for dead in self._dead):
            self._dead.clear()

    def _bring(self, wanted: "Status") -> None:
        try:
            self.transition(wanted)
        except NodeFault as e:
            if not self._worn:
                raise
            self.made_anew = str(e)
            self.blank()
            self.transition(wanted)

    @step(args=["status"])
    def transition(self, status: "Status | str") -> None:
        """Bring it there; from wherever it is. RigFault, NodeFault."""
        wanted = Status[status] if isinstance(status, str) else status
        if self.broken is not None:
            raise RigFault(f"{self.target.name}: given up before: {self.broken}")
        try:
            getattr(self, f"_to_{wanted.name}")()
        except RigFault as e:
            self.broken = e
            raise
        self.status = wanted
        self._worn = True

    def force(self, status: "Status | str") -> None:
        """It is in that state, by other means."""
        self.status = Status[status] if isinstance(status, str) else status

    def _activate(self) -> None:
        for name in ("line", "power", "clock", "console", "prompt", "flash"):
            self.target.activate(getattr(self, name))

    def _to_off(self) -> None:
        self._activate()
        self.console.close()
        self.supply.off()

    def _powered(self) -> None:
        self._activate()
        if self.status in (Status.unknown, Status.off):
            self.supply.on()
            self.console.open()

    def _to_loader(self) -> None:
        self._powered()
        self.console.close()  # the last that closes the port of a loader boots the application
        self.line.loader()

    def _to_flashed(self) -> None:
        self._powered()
        self._have_firmware()
        self._boot()

    def _have_firmware(self) -> None:
        wanted = (self.node_type, self.bundle)
        if self._flashed != wanted:
            self.flash.flash(self.node_type, self.bundle)
            self._flashed, self._identity, self._worn = wanted, None, False

    def _to_provisioned(self) -> None:
        self._have_identity()
        self._boot()

    def _have_identity(self) -> None:
        self._powered()
        self._have_firmware()
        fleet = self._fleet()
        fleet.running()
        if self._identity != (self.node_type, fleet):
            if self.node_id:  # an identity that lives would be left as it is, with all about it
                self.flash.forget()
            self.node_id = self.flash.provision(
                self.node_type, fleet.enrol_url, fleet.token(self.node_type), {}
            )
            self._identity = (self.node_type, fleet)
            self._config, self._provisioned = {}, {}
        if self._config != self.config:
            self._reconfigure(fleet)
        self.console.open()

    def _reconfigure(self, fleet: "Fleet") -> None:
        with self.prompt.visit():
            if not self._provisioned:
                self._provisioned = self.flash.configuration()
            values = self._provisioned | self.config
            if "door" in self.config and "port" not in self.config:
                values["port"] = fleet.port_of(self.config["door"])
            self.flash.configure({k: v for k, v in values.items() if v is not None})
        self._config = dict(self.config)

    def _boot(self) -> None:
        self.console.open()
        mark = self.console.mark()
        self.line.reset()
        if not self.clock.until(
            lambda: "kapok-selftest " in self.console.since(mark).rpartition("\n")[0], BOOT_S
        ):
            raise NodeFault(
                f"{self.target.name}: no self-test within {BOOT_S:.0f} s of a reset; it said: "
                f"{self.console.since(mark)[-600:]!r}"
            )

    def _to_online(self) -> None:
        self._have_identity()
        fleet = self._fleet()
        fleet.running()
        mark = time.time_ns() // 1000
        self.line.reset()
        node = self.node_id
        if not self.clock.until(lambda: fleet.reported_us(node) > mark, ONLINE_S):
            raise NodeFault(
                f"{self.target.name}: node {node} did not report within {ONLINE_S:.0f} s of a "
                f"power-on; it is {self.line.told()}; it said: {self.console.since()[-600:]!r}"
            )

    def _to_asleep(self) -> None:
        if self.status not in (Status.online, Status.asleep):
            self.transition(Status.online)
        if not self.clock.until(self.line.asleep, ASLEEP_S):
            raise NodeFault(f"{self.target.name}: it did not go to sleep in {ASLEEP_S:.0f} s")

    def _fleet(self) -> "Fleet":
        if self.fleet is None:
            raise RigFault(f"{self.target.name}: no fleet was given to the strategy")
        return self.fleet
