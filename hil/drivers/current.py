"""What the node of a place draws: computed by the virtual board's bench."""

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.step import step

from hil.drivers.bench import BenchDriver
from hil.protocols import Current
from hil.trace import Trace


@target_factory.reg_driver
@attr.s(eq=False)
class BenchCurrentDriver(Driver, Current):
    """By the states of the virtual board and its modem, by the bench's control socket."""

    bindings = {"bench": "BenchDriver"}  # noqa: RUF012  labgrid's way
    bench: BenchDriver

    @Driver.check_active
    def mark(self) -> int:
        """As Current.mark."""
        return int(self.bench.ask("current")["now_us"])

    @Driver.check_active
    @step()
    def since(self, mark_us: int) -> Trace:
        """As Current.since."""
        samples: list[tuple[int, int]] = []
        since_us = mark_us
        while True:
            told = self.bench.ask("current", since_us=since_us)
            samples += [(int(at), int(ua)) for at, ua in told["samples"]]
            if not told["more"]:
                return Trace(mark_us, int(told["now_us"]), samples, computed=True)
            since_us = told["next_us"]
