"""A node's cycle on CPython, with real state, reports and downlink; the rest is scripted."""

import asyncio
import importlib
import sys
import time
import types
from collections.abc import Iterator
from typing import Any

import esp32
import pytest
from firmware_modules import forget
from node.store.rtcstate import RtcState
from node.wire import cbor, receipt, report

NOW = 1_795_411_856
TIMER, BUTTON = 4, 3
HOLD = ("cycle", "due", "retry", "clock", "reports", "log", "timekeeping", "power.energy")
EPOCH = 464374526
CONFIG = {
    "node": "1gntj14d2p", "role": "gas-meter", "modem": "bc660k", "host": "localhost",
    "port": 5683, "pins": {"pulse": 4}, "report_records": 2, "report_s": 3600, "awake_s": 60,
    "ledger_s": 86400,
}  # fmt: skip


class Journal:
    """As LazyJournal with its journal: records 1 to `depth` of the same time."""

    def __init__(self, depth: int) -> None:
        self.records = {n: cbor.encode([NOW, 0, 2, 1830 + n]) for n in range(1, depth + 1)}
        self.last_body = b""
        self.dropped: dict[int, int] = {}
        self.corrupt = 0
        self.epoch = EPOCH
        self.away = 0

    def __call__(self) -> "Journal":
        return self

    @property
    def depth(self) -> int:
        return len(self.records)

    def oldest(self, size: int, count: int) -> list[tuple[int, bytes]]:
        return sorted(self.records.items())[:count]

    def trim(self, epoch: int, ranges: list[tuple[int, int]]) -> int:
        assert epoch == self.epoch
        before = self.depth
        for first, last in ranges:
            for number in range(first, last + 1):
                self.records.pop(number, None)
        return before - self.depth

    def put_away(self) -> None:
        self.away += 1

    @property
    def next_sequence(self) -> int:
        return max(self.records, default=0) + 1

    def append(self, body: bytes, priority: int = 0) -> int:
        sequence = self.next_sequence
        self.records[sequence] = body
        return sequence


class Role:
    """Senses nothing."""

    def sense(self, now: int, reason: int, quality: int) -> None:
        pass

    def called(self) -> bool:
        return False

    def due(self, now: int) -> int:
        return now + 3600


class Link:
    """Session and door in one. `answers` has what to say to each report: items, or an error."""

    RECEIPT_MS = 1000

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.stored: dict[int, bytes | Exception] = {}  # of items, by number
        self.reports: list[Any] = []
        self.last: list[bool] = []
        self.fetched: list[int] = []
        self.polls = self.doors = self.closed = 0
        self.config = CONFIG

    async def open(self) -> None:
        pass

    async def network_time(self) -> None:
        return None

    async def door(self) -> "Link":
        self.doors += 1
        return self

    async def deliver(self, data: bytes, whole: bytes, deadline_ms: int, last: bool) -> bytes:
        self.reports.append(report.decode(data))
        self.last.append(last)
        got = receipt.decode(whole)
        sent = [record.sequence for record in self.reports[-1].records]
        assert sorted(n for a, b in got.ranges for n in range(a, b + 1)) == sent
        return self._answer(got.epoch, got.ranges)

    async def poll(self, deadline_ms: int) -> bytes:
        self.polls += 1
        return self._answer(0, [])

    def _answer(self, epoch: int, ranges: list[tuple[int, int]]) -> bytes:
        told = self.answers.pop(0) if self.answers else ()
        if isinstance(told, Exception):
            raise told
        answer: bytes = receipt.encode(epoch, ranges, told)
        return answer

    async def fetch(self, number: int, size: int, deadline_ms: int) -> bytes:
        self.fetched.append(number)
        told = self.stored[number]
        if isinstance(told, Exception):
            raise told
        return told

    async def close(self) -> None:
        self.closed += 1


class Board:
    """What outlives a wake, and `wake`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.memory = b""
        self.state: Any = RtcState(self._rtc)
        self.state.set("clock_sure", 1)
        self.now = NOW
        self.link = Link()
        self.journal = Journal(0)
        machine: Any = types.ModuleType("machine")
        machine.EXT0_WAKE, machine.EXT1_WAKE, machine.TIMER_WAKE = 2, BUTTON, TIMER
        machine.SOFT_RESET = 5
        machine.reset_cause = lambda: 4
        self.ticks = 0
        monkeypatch.setattr(time, "ticks_ms", lambda: self.ticks, raising=False)
        monkeypatch.setattr(time, "ticks_diff", lambda a, b: a - b, raising=False)
        monkeypatch.setitem(sys.modules, "machine", machine)
        forget(*HOLD)  # they hold another test's machine
        clock = importlib.import_module("node.clock")
        monkeypatch.setattr(clock, "now", lambda: self.now)
        monkeypatch.setattr(clock, "set", self._set_clock)
        self._cycle = importlib.import_module("node.cycle").Cycle

    def _set_clock(self, seconds: int) -> None:
        self.now = seconds

    def _rtc(self, data: bytes | None = None) -> bytes:
        if data is not None:
            self.memory = data
        return self.memory

    def wake(self, depth: int = 1, reason: int = TIMER) -> Any:
        """One wake with so many records in the journal; the cycle."""
        self.journal = Journal(depth)
        self.state.set("next_report", 0)
        self.state.set("retry", 0)
        cycle = self._cycle(CONFIG, self.state, self.journal, Role(), lambda: self.link)
        asyncio.run(cycle.run(reason))
        return cycle

    def status(self) -> dict[int, int]:
        """Of the newest report."""
        found: dict[int, int] = self.link.reports[-1].status
        return found


def boards(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A board."""
    import chip_asyncio  # noqa: F401 - wait_for_ms

    esp32.flash = esp32.Flash()
    esp32.flash.kept["cfg"] = cbor.encode(CONFIG)
    yield Board(monkeypatch)
