"""What the node of a place draws: computed by the virtual board's bench."""

from collections.abc import Iterator

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.step import step

from hil.drivers.bench import BenchDriver
from hil.protocols import Current


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
    @step(args=["since_us"])
    def samples(self, since_us: int) -> Iterator[tuple[int, int]]:
        """As Current.samples."""
        samples: list[tuple[int, int]] = []
        more = True
        while more:
            told = self.bench.ask("current", since_us=since_us)
            samples += [(int(at), int(ua)) for at, ua in told["samples"]]
            more, since_us = told["more"], told["next_us"]
        return iter(samples)
