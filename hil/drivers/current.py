"""What the node of a place draws: computed by the virtual board's bench, or metered."""

import time
from collections.abc import Iterator

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.step import step

from hil.drivers.bench import BenchDriver
from hil.drivers.stimulus import StimulusDriver
from hil.protocols import Current

KEPT = 500_000  # steps


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


@target_factory.reg_driver
@attr.s(eq=False)
class CurrentDriver(Driver, Current):
    """By the INA226 of the stimulus board, which keeps some hundred steps: whoever lets more
    happen between two calls loses the oldest, and `lost` tells how many.
    """

    bindings = {"stimulus": "StimulusDriver"}  # noqa: RUF012  labgrid's way
    stimulus: StimulusDriver

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._steps: list[tuple[int, int]] = []
        self._newest_ms = -1
        self.lost = 0

    @Driver.check_active
    def mark(self) -> int:
        """As Current.mark."""
        self._fetch()
        return time.time_ns() // 1000

    @Driver.check_active
    @step(args=["since_us"])
    def samples(self, since_us: int) -> Iterator[tuple[int, int]]:
        """As Current.samples."""
        self._fetch()
        found = [(at, ua) for at, ua in self._steps if at > since_us]
        before = [ua for at, ua in self._steps if at <= since_us]
        return iter([(since_us, before[-1]), *found] if before else found)

    def _fetch(self) -> None:
        more = True
        while more:
            told = self.stimulus.do(meter="read")
            began_us = time.time_ns() // 1000 - 1000 * told["now_ms"]
            for ms, ua in told["steps"]:
                # The step that goes on is told again, with its newer mean.
                if self._steps and ms == self._newest_ms:
                    self._steps[-1] = (self._steps[-1][0], ua)
                else:
                    self._steps.append((began_us + 1000 * ms, ua))
                self._newest_ms = ms
            self.lost += told["lost"]
            more = told["more"]
        del self._steps[:-KEPT]
