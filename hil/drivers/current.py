"""What the node of a place draws: computed by the virtual board's bench, or metered."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.step import step

from hil.drivers.bench import BenchDriver
from hil.drivers.stimulus import StimulusDriver
from hil.faults import RigFault
from hil.protocols import Current

KEPT = 500_000  # steps
EVERY_S = 1.0  # the board's memory is full after 8 s at the earliest
END_S = 30.0  # longer than a request
MISSED_MOST = 10  # looks of 20 ms in vain, between two fetches: the step before stands for them


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
    """By the INA226 of the stimulus board, which keeps some hundred steps: they are fetched all
    the time, and a trace that lacks some all the same is a fault of the rig.
    """

    bindings = {"stimulus": "StimulusDriver"}  # noqa: RUF012  labgrid's way
    stimulus: StimulusDriver

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._steps: list[tuple[int, int]] = []
        self._newest_ms: int | None = None
        self._whole_us = 0  # from here on no step is missing
        self._fetching = threading.Lock()
        self._ended = threading.Event()
        self._reader: threading.Thread | None = None

    def on_activate(self) -> None:
        """Fetch from now on."""
        self._steps.clear()
        self._newest_ms = None  # the board may have been wired anew, and counts from 0
        self.begun_us = self._whole_us = time.time_ns() // 1000
        self._ended.clear()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def on_deactivate(self) -> None:
        """Fetch no more."""
        reader, self._reader = self._reader, None
        self._ended.set()
        if reader is not None:
            reader.join(END_S)

    def _read(self) -> None:
        while not self._ended.wait(EVERY_S):
            with contextlib.suppress(RigFault):  # whoever asks for a trace meets it, too
                self._fetch()

    @Driver.check_active
    def mark(self) -> int:
        """As Current.mark."""
        self._fetch()
        return time.time_ns() // 1000

    @Driver.check_active
    @step(args=["since_us"])
    def samples(self, since_us: int) -> Iterator[tuple[int, int]]:
        """As Current.samples; RigFault where some are missing."""
        self._fetch()
        with self._fetching:
            steps, whole_us = list(self._steps), self._whole_us
        if since_us < whole_us:
            raise RigFault(
                f"{self.target.name}: the trace of the current lacks steps: the stimulus board"
                " kept fewer than there were, or its INA226 did not answer (docs/bench.md)"
            )
        found = [(at, ua) for at, ua in steps if at > since_us]
        before = [ua for at, ua in steps if at <= since_us]
        return iter([(since_us, before[-1]), *found] if before else found)

    def _fetch(self) -> None:
        with self._fetching:
            more = True
            while more:
                told = self.stimulus.meter()
                self._take(told, time.time_ns() // 1000)
                more = told["more"]

    def _take(self, told: dict[str, Any], now_us: int) -> None:
        began_us = now_us - 1000 * told["now_ms"]
        if told["lost"]:  # the oldest, so all before the first of these
            first = told["steps"][0][0] if told["steps"] else told["now_ms"]
            self._whole_us = began_us + 1000 * first
        for ms, ua in told["steps"]:
            # The step that goes on is told again, with its newer mean.
            if self._steps and ms == self._newest_ms:
                self._steps[-1] = (self._steps[-1][0], ua)
            else:
                last_us = self._steps[-1][0] if self._steps else 0
                self._steps.append((max(began_us + 1000 * ms, last_us), ua))
            self._newest_ms = ms
        if told.get("missed", 0) > MISSED_MOST:
            self._whole_us = now_us
        if len(self._steps) > KEPT:
            del self._steps[:-KEPT]
            self._whole_us = max(self._whole_us, self._steps[0][0])
