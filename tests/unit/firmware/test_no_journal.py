"""What watches over safety and floods, and what reaches the fleet, does without a journal."""

import asyncio
import importlib
import sys
import time
import types
from collections.abc import Iterator
from typing import Any

import cycle_rig
import pytest
from cycle_rig import CONFIG, NOW, TIMER, Board
from firmware_modules import forget, fresh
from meter_rig import SECOND, Meter
from node.errors import JournalError
from node.wire import uplink

from fleet import schema
from fleet.wire import cbor
from tests.bench.register import CONFIG as REGISTER
from tests.bench.register import START

DAY, HOUR = 86_400, 3600
GAP, SUSPECT = 1014, 2
LEVEL_HIGH = 20


class Broken:
    """A LazyJournal whose flash is: nothing opens it. `depth` may still be known."""

    def __init__(self, depth: int | None = None) -> None:
        self._depth = depth

    def __call__(self) -> Any:
        raise JournalError("cannot open /journal: errno 5", 5)

    @property
    def depth(self) -> int:
        return self() if self._depth is None else self._depth

    def put_away(self) -> None:
        pass


# -- the gas meter ------------------------------------------------------------------------------


class Gas:
    """A meter whose power was cut without a warning, and whose journal then has no room."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.looks: list[int] = []
        self.full = False
        self._append = meter.journal.append
        meter.journal.append = self.append  # type: ignore[method-assign]
        meter.wake()
        self.hour()
        meter.turn()
        meter.run(SECOND)
        meter.cut()

    def append(self, body: bytes, priority: int = 0) -> int:
        if self.full and not priority:
            raise JournalError("no room", 28)
        return self._append(body, priority)

    def hour(self) -> None:
        now = self.meter.clock.now_us // SECOND
        self.meter.run((now - now % HOUR + HOUR - now) * SECOND)
        self.wake()

    def wake(self) -> Any:
        safety = sys.modules["node.roles.gas_safety"].GasSafety
        safety.look = lambda _self, now, *_: self.looks.append(now)
        return self.meter.wake()

    def freezes(self) -> list[int]:
        """Their qualities."""
        found: list[Any] = [cbor.decode(body) for body in self.meter.journal.bodies]
        return [each[1] for each in found if each[2] == 1]


@pytest.fixture
def gas() -> Iterator[Gas]:
    with Meter(START + 60, REGISTER, warned=False) as meter:
        yield Gas(meter)


def test_a_meter_whose_freeze_has_no_room_watches_on(gas: Gas) -> None:
    gas.full = True
    before = len(gas.looks)
    gas.hour()
    assert len(gas.looks) == before + 1


def test_a_gap_is_flagged_until_a_freeze_with_it_is_kept(gas: Gas) -> None:
    before = gas.freezes()
    gas.full = True
    gas.hour()
    gas.hour()
    assert gas.freezes() == before
    gas.full = False
    gas.hour()
    gas.hour()
    assert gas.freezes() == [*before, SUSPECT, 0]


def test_a_freeze_without_room_is_tried_again_but_not_with_each_pulse(gas: Gas) -> None:
    gas.full = True
    gas.hour()
    gas.full = False
    role = gas.wake()
    before = len(gas.freezes())
    gas.full = True
    gas.hour()
    role = gas.wake()
    gas.full = False
    now = gas.meter.clock.now_us // SECOND
    role.sense(now, 6, 0)  # the ULP's
    assert len(gas.freezes()) == before
    role.sense(now, TIMER, 0)
    assert len(gas.freezes()) == before + 1


# -- the drainage point -------------------------------------------------------------------------


class Adc:
    ATTN_11DB = 3
    uv = 3_000_000  # full scale

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def read_uv(self) -> int:
        return self.uv


class Pin:
    IN, OUT, PULL_DOWN, IRQ_RISING = 1, 3, 1, 1

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def irq(self, *_: Any) -> None:
        pass

    def value(self, *_: Any) -> int:
        return 0


class State(dict[str, Any]):
    def set(self, key: str, value: object) -> None:
        self[key] = value


class Log:
    """A journal that keeps alarms alone while it is `full`."""

    def __init__(self) -> None:
        self.full = True
        self.bodies: list[Any] = []
        self.last_body = None

    def __call__(self) -> "Log":
        return self

    def append(self, body: bytes, priority: int = 0) -> int:
        if self.full and not priority:
            raise JournalError("no room", 28)
        self.bodies.append(cbor.decode(body))
        return len(self.bodies)


@pytest.fixture
def drainage(monkeypatch: pytest.MonkeyPatch) -> Any:
    machine: Any = types.ModuleType("machine")
    machine.Pin, machine.ADC, machine.EXT0_WAKE = Pin, Adc, 2
    machine.wake_reason = lambda: TIMER
    monkeypatch.setitem(sys.modules, "machine", machine)
    monkeypatch.setattr(time, "sleep_ms", lambda ms: None, raising=False)
    forget("roles.manhole", "sense.analog", "events")
    monkeypatch.setattr(fresh("clock"), "now", lambda: NOW)
    return fresh("roles.drainage")


def point(module: Any, journal: Any, **state: Any) -> Any:
    values = schema.check(
        {
            "node": "1gntj14d2p", "role": "drainage", "modem": "bc660k", "host": "h", "port": 1,
            "pins": {"wake": 5, "level": 1}, "level_high_mm": 1000, "sample_s": 900,
        }
    )  # fmt: skip
    return module.Drainage(values, State(clock_sure=1, **state), journal)


def test_a_flood_is_told_where_its_sample_has_no_room(drainage: Any) -> None:
    journal = Log()
    role = point(drainage, journal, slot=NOW - 900)
    role.sense(NOW, TIMER, 0)
    role.sense(NOW + 900, TIMER, 0)
    state = role._state
    assert LEVEL_HIGH in state["events"]
    assert state["urgent"] == 1
    assert state["mode"][0] == 2, "and it looks more often"
    assert state["error"] == JournalError.code
    journal.full = False
    role.sense(NOW + 901, TIMER, 0)
    assert any(body[0] == NOW + 901 and body[2] == 2 for body in journal.bodies), (
        "the slot is open"
    )
    count = len(journal.bodies)
    role.sense(NOW + 902, TIMER, 0)
    assert len(journal.bodies) == count


def test_without_a_journal_it_samples_and_names_its_next_slot(drainage: Any) -> None:
    role = point(drainage, Broken())
    role.sense(NOW, TIMER, 0)
    assert role._state["lv"]
    role._called = True
    assert NOW < role.due(NOW) <= NOW + 900


def test_a_grid_without_a_journal_takes_each_slot_once(drainage: Any) -> None:
    grid = importlib.import_module("node.roles.grid").Grid(900, State(), Broken())
    assert grid.open(NOW)
    grid.taken(NOW)
    assert not grid.open(NOW)


# -- the contact --------------------------------------------------------------------------------


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from cycle_rig.boards(monkeypatch)


def run(board: Board, journal: Any, role: Any = None, reason: int = TIMER) -> Any:
    role = role or cycle_rig.Role()
    cycle = board._cycle(CONFIG, board.state, journal, role, lambda: board.link)
    asyncio.run(cycle.run(reason))
    return cycle


@pytest.mark.parametrize("depth", [None, 3])
@pytest.mark.parametrize("sure", [0, 1])
def test_a_journal_that_cannot_be_opened_keeps_no_node_from_the_fleet(
    board: Board, depth: int | None, sure: int
) -> None:
    board.state.set("clock_sure", sure)
    if not sure:
        board.now = 0
    made = run(board, Broken(depth))
    assert made.next_wake() > board.now
    assert board.state.get("fails") == 0
    (report,) = board.link.reports
    assert report.records == []
    assert report.status[uplink.ERROR] == JournalError.code
    for _ in range(3):
        board.now = made.next_wake()
        made = run(board, Broken(depth))
    assert len(board.link.reports) == 4, "and takes what the fleet has for it with each"


def test_its_contacts_are_no_more_than_its_reports(board: Board) -> None:
    made = run(board, Broken())
    board.now = made.next_wake() - 60
    made = run(board, Broken())
    assert len(board.link.reports) == 1


def test_an_alarm_behind_a_backlog_stays_urgent_until_it_is_sent(board: Board) -> None:
    board.journal = cycle_rig.Journal(97)
    board.state.set("urgent", 1)
    board.state.set("next_report", NOW + DAY)
    made = run(board, board.journal)
    assert board.journal.depth == 1
    assert made.next_wake() == board.now
    made = run(board, board.journal)
    assert board.journal.depth == 0
    assert not board.state.get("urgent")
    assert made.next_wake() > board.now + 60
    assert len(board.link.reports) == 3


def raises(_self: Any, _epoch: int, _ranges: Any) -> int:
    raise JournalError("cannot trim: errno 5", 5)


def claims(_self: Any, _epoch: int, ranges: Any) -> int:
    return int(sum(last - first + 1 for first, last in ranges))  # and the flash keeps all


REAL = cycle_rig.Journal.trim


@pytest.mark.parametrize(
    ("trim", "depth", "most"), [(raises, 5, 20), (claims, 5, 30), (REAL, 97, 130)]
)
def test_a_journal_that_cannot_be_trimmed_has_no_contacts_without_end(
    board: Board, monkeypatch: pytest.MonkeyPatch, trim: Any, depth: int, most: int
) -> None:
    monkeypatch.setattr(cycle_rig.Journal, "trim", trim)
    board.state.set("urgent", 1)
    contacts = 0
    for _ in range(1000):
        before = len(board.link.reports)
        made = run(board, cycle_rig.Journal(depth))  # at each wake all is there again
        contacts += len(board.link.reports) > before
        board.now = max(made.next_wake(), board.now + 1)
        if board.now > NOW + DAY:
            break
    assert 5 < contacts <= most
