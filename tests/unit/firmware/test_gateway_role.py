"""The gateway's role over a scripted line: who is asked when, and what is told of whom."""

import asyncio
import importlib
import sys
import time
import types
from typing import Any

import pytest
from firmware_modules import forget, fresh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node.store.rtcstate import RtcState
from node.wire import cbor

NOW, SLOT = 1_795_411_800, 900
SILENT, BUS_FAULT, SUB = 1060, 1061, 99
READ_NOW, SCAN, PASS = 3, 13, 14
DONE, BAD_ARGUMENTS, NOT_MINE = 0, 5, 7
FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


class Journal:
    """Records as (device or 0, values), oldest first; with `full` nothing can be kept."""

    def __init__(self) -> None:
        self.records: list[tuple[int, dict[int, int]]] = []
        self.last_body = b""
        self.full = False

    def __call__(self) -> "Journal":
        return self

    def append(self, body: bytes, priority: int = 0) -> None:
        from node.errors import JournalError

        if self.full:
            raise JournalError("no room")
        flat: Any = cbor.decode(body)
        values = dict(zip(flat[2::2], flat[3::2], strict=True))
        self.records.append((values.pop(SUB, 0), values))
        self.last_body = body

    def of(self, number: int) -> list[dict[int, int]]:
        return [values for device, values in self.records if device == number]


class World:
    """A role, a clock, and a line on which `alive` answer; each question takes `each_ms`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.ticks, self.each_ms = NOW, 0, 1000
        self.alive: set[int] = set()
        self.asked: list[tuple[int, int]] = []
        self.lines: list[Any] = []
        monkeypatch.setitem(sys.modules, "machine", types.ModuleType("machine"))
        forget("sense.search")
        bus: Any = types.ModuleType("node.sense.bus")
        bus.EVEN, bus.NO_PARITY = 1, 0
        bus.BusTimeout = type("BusTimeout", (Exception,), {})
        bus.Bus = lambda pins: types.SimpleNamespace(close=lambda: None)
        self.timeout = bus.BusTimeout
        sub: Any = types.ModuleType("node.sense.subdevice")
        sub.MODBUS, sub.DLT645, sub.CJT188 = 0, 1, 2
        sub.profile = lambda name: [name]
        sub.values = self._values
        monkeypatch.setitem(sys.modules, "node.sense.bus", bus)
        monkeypatch.setitem(sys.modules, "node.sense.subdevice", sub)
        sense = importlib.import_module("node.sense")
        monkeypatch.setattr(sense, "bus", bus, raising=False)
        monkeypatch.setattr(sense, "subdevice", sub, raising=False)
        monkeypatch.setattr(time, "ticks_ms", lambda: self.ticks, raising=False)
        monkeypatch.setattr(time, "ticks_add", lambda a, b: a + b, raising=False)
        monkeypatch.setattr(time, "ticks_diff", lambda a, b: a - b, raising=False)
        clock = importlib.import_module("node.clock")
        monkeypatch.setattr(clock, "now", lambda: self.now)
        monkeypatch.setattr(clock, "is_set", lambda: True)
        self._module = fresh("roles.gateway")
        # What it forgets is not loaded again in here.
        monkeypatch.setattr(self._module, "forget", lambda name: None)
        self.memory = b""
        self.start(3)

    def start(self, devices: int, **config: Any) -> None:
        """A new gateway with so many devices, all alive."""
        self.memory = b""
        self.journal = Journal()
        self.alive = set(range(1, devices + 1))
        self.config = {
            "pins": {}, "sample_s": SLOT, "silent_polls": 3, "backoff_most_s": 3600,
            "awake_s": 300, "devices": [[n, "p", str(n)] for n in self.alive], **config,
        }  # fmt: skip
        self.boot()

    def boot(self) -> None:
        """The chip starts again with what RTC memory keeps."""
        self.state: Any = RtcState(self._rtc)
        self.state.load()
        self.state.set("clock_sure", 1)
        self.role = self._module.Gateway(self.config, self.state, self.journal)

    def _rtc(self, data: bytes | None = None) -> bytes:
        if data is not None:
            self.memory = data
        return self.memory

    async def _values(
        self, bus: Any, profile: list[str], address: str, baud: int = 0, tries: int = 0
    ) -> list[tuple[int, int]]:
        number = int(address)
        self.ticks += self.each_ms
        self.asked.append((number, tries))
        if number not in self.alive:
            raise self.timeout
        return [(24, 2300 + number)]

    def poll(self) -> list[int]:
        """One cycle; whom it asked."""
        self.asked.clear()
        asyncio.run(self.role.poll(self.now))
        self.state.save()
        return [number for number, _ in self.asked]

    def slot(self) -> list[int]:
        """All cycles of the next slot; whom they asked."""
        self.now = (self.now // SLOT + 1) * SLOT
        asked = self.poll()
        for _ in range(100):
            if self.role.due(self.now) > self.now:
                return asked
            asked += self.poll()
        raise AssertionError("it never comes to an end")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_each_is_asked_once_in_a_slot(world: World) -> None:
    world.poll()
    assert world.slot() == [1, 2, 3]
    assert world.poll() == []
    assert world.role.due(world.now) == (world.now // SLOT + 1) * SLOT
    assert world.journal.of(2) == [{24: 2302}] * 2


def test_the_living_are_asked_before_those_that_did_not_answer(world: World) -> None:
    world.poll()
    world.alive = {2, 3}
    assert world.slot() == [1, 2, 3]
    assert world.slot() == [2, 3, 1]


def test_a_round_that_takes_too_long_goes_on_in_the_next_cycle(world: World) -> None:
    world.start(24)
    world.each_ms = 10_000  # 240 s of 75 that a cycle has
    world.slot()
    first = world.slot()
    assert sorted(first) == list(range(1, 25)), "each once"
    world.now = (world.now // SLOT + 1) * SLOT
    assert len(world.poll()) == 8


def test_sabotage_without_back_off_the_dead_take_the_time_of_the_living(world: World) -> None:
    def seconds(most: int) -> int:
        world.start(20, backoff_most_s=most, silent_polls=1)
        world.alive = {20}
        world.each_ms = 4000
        for _ in range(3):
            world.slot()
        world.ticks = 0
        for _ in range(8):
            world.slot()
        return world.ticks // 1000

    assert seconds(3600) < 200
    assert seconds(0) > 500


@FIXTURE
@given(
    st.integers(1, 5),
    st.lists(st.sets(st.integers(1, 5)), min_size=1, max_size=25),
    st.sampled_from([0, 900, 3600]),
    st.lists(st.booleans(), min_size=25, max_size=25),
)
def test_whatever_lives_and_dies(
    world: World, devices: int, living: list[set[int]], most: int, resets: list[bool]
) -> None:
    world.start(devices, backoff_most_s=most)
    answered = dict.fromkeys(range(1, devices + 1), 0)
    for alive, reset in zip(living, resets, strict=False):
        world.alive = alive
        if reset:
            world.boot()
        before = len(world.journal.records)
        asked = world.slot()
        assert len(asked) == len(set(asked)), "nobody is asked twice in a slot"
        for number in asked:
            answered[number] += number in alive
        fresh = [values for _, values in world.journal.records[before:]]
        if {BUS_FAULT: 1} in fresh:
            assert {SILENT: 1} not in fresh, "one fault is told as one"
    for number in answered:
        of = world.journal.of(number)
        assert sum(24 in values for values in of) == answered[number]
        told = [values[SILENT] for values in of if SILENT in values]
        assert told == [1, 0] * (len(told) // 2) + [1] * (len(told) % 2)
    faults = [values[BUS_FAULT] for values in world.journal.of(0) if BUS_FAULT in values]
    assert faults == [1, 0] * (len(faults) // 2) + [1] * (len(faults) % 2)
    # In the end all answer: nothing stays open.
    world.alive = set(answered)
    for _ in range(10):
        world.slot()
    assert not world.state.get("hush", [])
    assert BUS_FAULT - 1000 not in world.state.get("events", [])


def test_a_full_journal_stops_no_poll(world: World) -> None:
    world.journal.full = True
    assert world.slot() == [1, 2, 3]
    assert world.state.get("error") == 3


def test_the_fleet_may_want_to_know_now(world: World) -> None:
    world.alive = {1, 2}
    for _ in range(6):
        world.slot()
    assert world.role.due(world.now) > world.now
    assert world.role.command(READ_NOW, [], world.now) == (DONE, 0)
    assert world.role.due(world.now) == world.now
    assert world.poll() == [1, 2, 3], "the silent one too"


@pytest.mark.parametrize(
    ("code", "arguments", "result"),
    [
        (1, [], NOT_MINE), (2, [600], NOT_MINE), (6, [1, 5], NOT_MINE), (7, [0, 5], NOT_MINE),
        (SCAN, [0, 9600, 1, 247], DONE), (SCAN, [1, 2400], DONE), (SCAN, [], BAD_ARGUMENTS),
        (SCAN, [3, 9600], BAD_ARGUMENTS), (SCAN, [0, 9600, 5, 1], BAD_ARGUMENTS),
        (PASS, [60, 2400, 1], DONE), (PASS, [5, 2400, 1], BAD_ARGUMENTS),
        (PASS, [601, 2400, 1], BAD_ARGUMENTS), (PASS, [60, 300, 1], BAD_ARGUMENTS),
        (PASS, [60, 2400, 3], BAD_ARGUMENTS), (PASS, [60, 2400], BAD_ARGUMENTS),
    ],
)  # fmt: skip
def test_commands(world: World, code: int, arguments: list[int], result: int) -> None:
    assert world.role.command(code, arguments, world.now)[0] == result
    assert (world.role.session is not None) == (code == PASS and result == DONE)


def test_a_session_needs_a_door_that_carries_frames(world: World) -> None:
    world.role.command(PASS, [60, 2400, 1], world.now)
    asyncio.run(world.role.converse(types.SimpleNamespace(), 60_000))
    assert world.role.session is None, "and is not tried again"


@pytest.mark.parametrize(("later_s", "lasts_ms"), [(0, 60_000), (570, 30_000), (600, 0), (-1, 0)])
def test_attack_a_session_that_nobody_waits_for_does_not_open_the_line(
    world: World, monkeypatch: pytest.MonkeyPatch, later_s: int, lasts_ms: int
) -> None:
    served = []

    async def serve(door: Any, pins: Any, session: Any, left_ms: int) -> None:
        served.append(min(session[0] * 1000, left_ms))

    passing: Any = types.ModuleType("node.passing")
    passing.serve = serve
    monkeypatch.setitem(sys.modules, "node.passing", passing)
    monkeypatch.setattr(importlib.import_module("node"), "passing", passing, raising=False)
    world.role.command(PASS, [60, 2400, 1], world.now)
    world.now += later_s
    asyncio.run(world.role.converse(types.SimpleNamespace(hear=None), 200_000))
    assert served == ([lasts_ms] if lasts_ms else [])
    assert world.role.session is None


def test_a_slot_that_a_wrong_clock_took_stops_no_polling(world: World) -> None:
    world.slot()
    world.now += 400 * 86400
    world.slot()
    world.now -= 400 * 86400
    assert world.slot() == [1, 2, 3]
    assert world.role.due(world.now) > world.now


def test_who_was_silent_under_a_wrong_clock_is_asked_again(world: World) -> None:
    world.alive = {1, 2}
    world.now += 400 * 86400
    for _ in range(4):
        world.slot()
    world.now -= 400 * 86400
    world.alive = {1, 2, 3}
    assert 3 in world.slot()


def test_silence_is_kept_for_when_power_is_lost(world: World) -> None:
    world.alive = {1, 2}
    for _ in range(3):
        world.slot()
    assert (world.state.get("hush"), world.state.get("evd")) == ([3], 1)
    world.state.set("evd", 0)
    world.slot()
    assert not world.state.get("evd"), "unchanged"


class Beats:
    """As node/heartbeats.py: who is expected, and who was heard."""

    def __init__(self) -> None:
        self.within: dict[str, int] = {}
        self.heard: list[str] = []

    def expect(self, name: str, within_ms: int) -> None:
        self.within[name] = within_ms

    def beat(self, name: str) -> None:
        assert name in self.within
        self.heard.append(name)


def test_each_poll_that_ends_beats_and_one_that_hangs_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = Beats()
    world.role.start(beats)
    assert 1000 * 2 * SLOT <= beats.within["poll"] < 1 << 28
    world.slot()
    world.poll()  # with nobody to ask
    heard = len(beats.heard)
    assert heard >= 2

    async def hangs(*_: Any) -> None:
        raise TimeoutError  # as the cycle cuts it

    monkeypatch.setattr(world.role, "_ask", hangs)
    with pytest.raises(TimeoutError):
        world.slot()
    assert len(beats.heard) == heard


def test_the_longest_period_fits_the_ticks(world: World) -> None:
    beats = Beats()
    world.start(1, sample_s=86_400, awake_s=600)
    world.role.start(beats)
    assert beats.within["poll"] < 1 << 28
