"""A place of which every part is paper: what was asked of it is written down, and its node does
what a test says.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import attr
from labgrid import Target
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.protocol import PowerProtocol

from fleet.flashing.ports import Port
from hil import protocols
from hil.faults import RigFault
from hil.strategy import NodeStrategy


@target_factory.reg_driver
@attr.s(eq=False)
class PaperBoard(
    Driver, protocols.BoardLine, PowerProtocol, protocols.Clock, protocols.NodeConsole,
    protocols.Prompt, protocols.Flash,
):  # fmt: skip
    """All protocols at once. `did` is what was done, `boots` whether its node gets to a prompt."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.did: list[str] = []
        self.config: dict[str, Any] = {"node": "x", "report_s": 86400}
        self.is_on = False
        self.boots = True
        self.faults = 0  # of the rig, that are still to come
        self.booted: Callable[[], None] = lambda: None
        self.text = ""

    def _do(self, what: str) -> None:
        if self.faults:
            self.faults -= 1
            raise RigFault("the cable is loose")
        self.did.append(what)

    def port(self) -> Any:
        raise NotImplementedError

    def reset(self) -> None:
        self._do("reset")
        if self.boots:
            self.text += "kapok-selftest {}\n"
        self.booted()

    def loader(self) -> None:
        self._do("loader")

    def press(self, pin: str = "button") -> None:
        self._do(f"press {pin}")

    def renew(self) -> None:
        self._do("renew")
        self.is_on = False

    def asleep(self) -> bool:
        return True

    def told(self) -> dict[str, Any]:
        return {"state": "app" if self.is_on else "off"}

    def on(self) -> None:
        self.is_on = True

    def off(self) -> None:
        self.is_on = False

    def cycle(self) -> None:
        self._do("cycle")

    def now_us(self) -> int:
        return 0

    def running(self) -> AbstractContextManager[None]:
        return nullcontext()

    def hurry(self, times: float) -> None:
        self._do(f"hurry {times}")

    def wait(self, seconds: float) -> None:
        self._do(f"wait {seconds}")

    def until(self, what: Callable[[], Any], seconds: float, step_s: float = 1.0) -> Any:
        return what()

    def mark(self) -> int:
        return len(self.text)

    def since(self, mark: int = 0) -> str:
        return self.text[mark:]

    def log(self, mark: int = 0, begin_us: int = 0) -> str:
        return self.text[mark:]

    def expect(self, pattern: str, seconds: float, since: int | None = None) -> Any:
        raise NotImplementedError

    def lines(self) -> list[tuple[float, str]]:
        return []

    @contextmanager
    def lent(self) -> Iterator[None]:
        yield

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    @contextmanager
    def visit(self) -> Iterator[None]:
        self._do("visit")
        yield

    def eval(self, expression: str) -> Any:
        raise NotImplementedError

    def exec(self, code: str) -> str:
        raise NotImplementedError

    def leave(self, code: str) -> None:
        raise NotImplementedError

    def restart(self) -> None:
        raise NotImplementedError

    def flash(
        self, node_type: str, bundle: Path | None = None, runtime: Path | None = None
    ) -> None:
        self._do(f"flash {node_type}")
        self.boots = True

    def provision(self, node_type: str, url: str, token: str, config: Mapping[str, Any]) -> str:
        self._do(f"provision {node_type}")
        return "0000000001"

    def forget(self) -> None:
        self._do("forget")

    def configuration(self) -> dict[str, Any]:
        return dict(self.config)

    def configure(self, values: Mapping[str, Any]) -> None:
        self._do(f"configure {dict(values)['report_s']}")
        self.config = dict(values)

    def read(self, label: str) -> bytes:
        raise NotImplementedError

    def write(self, label: str, data: bytes) -> None:
        raise NotImplementedError


@target_factory.reg_driver
@attr.s(eq=False)
class PaperLine(Driver, protocols.BoardLine, protocols.Clock):
    """A pseudo-terminal, and real time."""

    path: str = attr.ib()

    def port(self) -> Port:
        return Port("paper", self.path, "hub")

    def reset(self) -> None: ...
    def loader(self) -> None: ...
    def press(self, pin: str = "button") -> None: ...
    def renew(self) -> None: ...
    def running(self) -> AbstractContextManager[None]:
        return nullcontext()

    def hurry(self, times: float) -> None: ...
    def wait(self, seconds: float) -> None: ...

    def asleep(self) -> bool:
        return False

    def told(self) -> dict[str, Any]:
        return {}

    def now_us(self) -> int:
        return 0

    def until(self, what: Callable[[], Any], seconds: float, step_s: float = 1.0) -> Any:
        end = time.monotonic() + seconds
        while not (found := what()) and time.monotonic() < end:
            time.sleep(0.01)
        return found


@target_factory.reg_driver
@attr.s(eq=False)
class PaperModem(Driver, protocols.ModemControl, protocols.Stimulus):
    """What is done to it is written down."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.did: list[str] = []

    def ask(self, **asked: Any) -> dict[str, Any]:
        return {"counters": {"lines": 0}}

    def do(self, **asked: Any) -> dict[str, Any]:
        self.did.append(str(asked))
        return {}

    def power_cycle(self) -> None:
        self.did.append("power_cycle")

    def renew(self) -> None:
        self.did.append("renew")


@target_factory.reg_driver
@attr.s(eq=False)
class PaperMeter(Driver, protocols.Current):
    """Says that so much is drawn."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.ua = 8

    def mark(self) -> int:
        return 10_000_000

    def samples(self, since_us: int) -> Iterator[tuple[int, int]]:
        return iter([(since_us, self.ua), (since_us + 1, 8)])


class PaperFleet:
    """Has the report of whatever boots; all that hil/fixtures.py asks of a fleet."""

    enrol_url = "https://fleet"

    def __init__(self, reports: int = 0) -> None:
        self.reports = reports
        self.clock: Any = None
        self.reconfigured: set[str] = set()

    def running(self) -> None:
        pass

    def begin(self) -> None:
        pass

    def log_mark(self) -> int:
        return 0

    def log(self, since: int = 0) -> list[object]:
        return []

    def token(self, node_type: str) -> str:
        return "token"

    def reported_us(self, node: object) -> int:
        return self.reports


def place() -> tuple[Any, PaperBoard, PaperFleet]:
    """A strategy, the board that it has, and a fleet."""
    target = Target("paper-1")
    board = PaperBoard(target, None)
    strategy = NodeStrategy(target, None)
    fleet = PaperFleet()

    def report() -> None:
        fleet.reports = 1 << 62 if board.boots else 0

    board.booted = report
    strategy.wants("gas-meter", {}, fleet)
    return strategy, board, fleet
