"""The virtual board of a place: owns its `kapok bench` process, its clock and its supply."""

import json
import os
import signal
import tempfile
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.protocol import PowerProtocol
from labgrid.step import step

from fleet.flashing import ports
from fleet.flashing.errors import BenchGone, FlashError
from fleet.flashing.lines import ANSWER, request
from fleet.flashing.ports import Port
from hil.faults import RigFault
from hil.processes import Program
from hil.protocols import BoardLine, Clock

BOARD = "1"  # its name on a bench of one
STILL = 0  # virtual seconds in a real one
PASS_S = 900.0  # of real time: a node that wakes meanwhile may wait for its network
FOLDER = "KAPOK_HIL_FOLDER"  # variable: where places keep their boards
AWAKE_STEP_S = 10.0  # while a socket is open time is real, and an answer is due
ASLEEP_STEP_S = 600.0  # while it sleeps nothing happens that is looked for


@target_factory.reg_driver
@attr.s(eq=False)
class BenchDriver(Driver, BoardLine, PowerProtocol, Clock):
    """`folder` keeps flash and eFuses for as long as the rig's folder is there, on or off.

    Its time stands still but where somebody waits: then it passes as fast as it can. So nothing
    befalls a node between two lines of a test, however slow the machine is.
    """

    bindings = {"board": "VirtualBoard"}  # noqa: RUF012  labgrid's way

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._program: Program | None = None
        self._control = ""
        self._seen: list[tuple[int, int]] = []  # real and virtual microseconds, both rising
        self.folder = Path()

    def on_activate(self) -> None:
        """Start the process."""
        base = Path(os.environ.get(FOLDER) or tempfile.mkdtemp(prefix="kapok-hil-"))
        self.folder = base / self.target.name
        self.start()

    def on_deactivate(self) -> None:
        """End it."""
        self.stop()

    def start(self) -> None:
        """Start the process, with the board that was there before; RigFault where it does not."""
        more = ["--scenario", self.board.scenario] if self.board.scenario else []
        self._program = Program(
            ["bench", "--folder", str(self.folder), "--json", "--pace", "none", "--boards", "1",
             "--board", self.board.board, *more],
            self.folder.with_suffix(".log"),
        )  # fmt: skip
        self._control = json.loads(self._program.line)["control"]
        # A bridge whose lines rest when its port is opened; who wants a reset pulls EN.
        self.ask("switch", set={"wake_on_open": False})
        self.ask("clock", rate=STILL)

    def stop(self) -> None:
        """End the process; flash and eFuses stay."""
        program, self._program = self._program, None
        if program is not None:
            program.end(signal.SIGINT)

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """One request to the control socket (docs/bench.md); RigFault where it is refused."""
        if self._program is None:
            raise RigFault(f"{self.target.name}: its bench is not started")
        if not self._program.runs:
            last = self._program.last_words()
            raise RigFault(f"{self.target.name}: its bench has died: {last}")
        try:
            asked = {"board": BOARD, "do": do, **more}
            told = request(self._control, asked, PASS_S if do == "pass" else ANSWER)
        except BenchGone as e:
            raise RigFault(f"{self.target.name}: {e}") from None
        if "now_us" in told:
            self._seen.append((time.time_ns() // 1000, int(told["now_us"])))
        return told

    # The board's line

    @Driver.check_active
    def port(self) -> Port:
        """The pseudo-terminal; it may have another number after each power-on."""
        try:
            found = ports.virtual_ports(self.folder)
        except FlashError as e:
            raise RigFault(str(e)) from None
        if not found:
            raise RigFault(f"{self.target.name}: the board is unplugged")
        return found[0]

    @Driver.check_active
    @step()
    def reset(self) -> None:
        """A pulse on EN."""
        self.ask("reset")

    @Driver.check_active
    @step()
    def loader(self) -> None:
        """EN with the strap low."""
        self.ask("loader")

    @Driver.check_active
    @step(args=["pin"])
    def press(self, pin: str = "button") -> None:
        """A button."""
        self.ask("press", pin=pin)

    @Driver.check_active
    @step()
    def renew(self) -> None:
        """Off, with real time, and the modem, its air and what the node senses as at first."""
        self.ask("renew")
        self._seen.clear()
        self.ask("clock", rate=STILL)

    def told(self) -> dict[str, Any]:
        """`state`: off, loader or app, and in `board` what that does: boot, awake, asleep."""
        return self.ask("state")

    def asleep(self) -> bool:
        """Whether it is in deep sleep."""
        return self.told().get("board") == "asleep"

    # Power

    @Driver.check_active
    @step()
    def on(self) -> None:
        """Plug it in."""
        self.ask("power-on")

    @Driver.check_active
    @step()
    def off(self) -> None:
        """Unplug it."""
        self.ask("power-off")

    @Driver.check_active
    @step()
    def cycle(self) -> None:
        """Unplug it and plug it in."""
        self.off()
        self.on()

    @Driver.check_active
    @step(args=["ms"])
    def dip(self, ms: int) -> None:
        """The supply dips for so long: the chip's brown-out detector resets it."""
        self.ask("brown-out", ms=ms)

    # Time

    def now_us(self) -> int:
        """The board's clock."""
        return int(self.ask("clock")["now_us"])

    def at_us(self, real_us: int) -> int:
        """Between two times at which the bench told its own, as if it had gone evenly."""
        seen = sorted(self._seen)  # the console's reader asks, too
        after = bisect(seen, (real_us, 0))
        if not 0 < after < len(seen):
            return seen[min(after, len(seen) - 1)][1] if seen else real_us
        (real, at), (real_then, then) = seen[after - 1 : after + 1]
        return at + (then - at) * (real_us - real) // max(real_then - real, 1)

    @contextmanager
    def running(self) -> Iterator[None]:
        """With real time."""
        self.ask("clock", rate=1)
        try:
            yield
        finally:
            with suppress(RigFault):  # it may be that which ended it
                self.ask("clock", rate=STILL)

    @Driver.check_active
    @step(args=["times"])
    def hurry(self, times: float) -> None:
        """As Clock."""
        self.ask("clock", haste=times)

    def wait(self, seconds: float) -> None:
        """Time passes as fast as it can."""
        self._pass(lambda: False, seconds, AWAKE_STEP_S)

    def until(self, what: Callable[[], Any], seconds: float, step_s: float = 1.0) -> Any:
        """As Clock."""
        return self._pass(what, seconds, step_s)

    def _pass(self, what: Callable[[], Any], seconds: float, step_s: float) -> Any:
        left, piece = seconds, step_s
        while not (found := what()) and left > 0:
            piece = min(left, piece)
            told = self.ask("pass", seconds=piece)
            left -= piece
            asleep = told.get("board") in ("asleep", "off")
            piece = min(2 * piece, ASLEEP_STEP_S) if asleep else step_s
        return found
