"""A meter and a fleet through anything: lost answers, replays, sleep, approvals that come or do
not, commands taken back. Nothing is done twice, late, or by one person; all of it ends.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_rig import LI, WANG, Meter, Town, give_key
from fleet_rig import add_nodes, query
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fleet.control import command_lists, commands
from fleet.control.errors import ControlError
from fleet.control.operations import COMMAND
from fleet.control.targets import Target
from fleet.wire import command

DAY_US = 86400 * 1_000_000
CLOCKS = (
    "fleet.control.commands.now_us", "fleet.control.releasing.now_us",
    "fleet.control.ends.now_us", "fleet.control.results.now_us",
    "fleet.control.operations.clock_us", "fleet.control.settling.now_us",
    "fleet.control.command_lists.now_us", "fleet.registry.operations.now_us",
    "command_rig.now_us",
)  # fmt: skip


class Clock:
    """The fleet's and the node's."""

    def __init__(self) -> None:
        self.us = 1_795_411_860_000_000

    def __call__(self) -> int:
        return self.us


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for name in CLOCKS:
        monkeypatch.setattr(name, made)
    return made


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, 0)
    yield made
    made.close()


step = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from([60, 3600, 86400])),
    st.tuples(st.just("plain"), st.sampled_from([60, 86400])),
    st.tuples(st.just("approve"), st.integers(0, 3)),
    st.tuples(st.just("cancel"), st.integers(0, 3)),
    st.tuples(st.just("report"), st.integers(0, 2)),
    st.tuples(st.just("replay"), st.integers(0, 9)),
    st.tuples(st.just("sleep"), st.sampled_from([1, 59, 300, 601, 3599, 90_000])),
    st.tuples(st.just("tick"), st.just(0)),
)


class Play:
    """What the steps do, and what came of them."""

    def __init__(self, town: Town, clock: Clock) -> None:
        self.town, self.clock = town, clock
        (node_id,) = add_nodes(town.database, 1, "gas-meter")
        give_key(town.database, node_id)
        self.meter = Meter(town, node_id)
        self.asked: list[int] = []
        self.ends: dict[int, int] = {}  # identifier -> end of its approval, us
        self.recorded: list[tuple[int, bytes]] = []
        self.results: list[tuple[int, int]] = []
        self.done: list[tuple[int, int]] = []  # identifier, when in us

    def do(self, action: str, value: int) -> None:
        if action in ("ask", "plain"):
            self._ask(action, value)
        elif action == "approve" and self.asked:
            self._approve(self.asked[value % len(self.asked)])
        elif action == "cancel" and self.asked:
            self._cancel(self.asked[value % len(self.asked)])
        elif action == "report":
            self._report(lost=value == 0)
        elif action == "replay" and self.recorded:
            self._take(*self.recorded[value % len(self.recorded)])
        elif action == "sleep":
            self.clock.us += value * 1_000_000
        elif action == "tick":
            self.town.tick()

    def _ask(self, action: str, lives_s: int) -> None:
        name = "valve-close" if action == "ask" else "reboot"
        to = [Target("node", self.meter.node_id)]
        identifier = self.town.ask(name, to=to, lives_s=lives_s).identifier
        self.asked.append(identifier)
        if action == "plain":
            self.ends[identifier] = self.clock.us + lives_s * 1_000_000

    def _approve(self, identifier: int) -> None:
        with pytest.raises(ControlError):
            self.town.approve(identifier, LI)
        try:
            with self.town.database.begin() as session:
                until = commands.approve(
                    session, identifier, WANG, self.town.limits, account="of Wang"
                )
        except ControlError:
            return
        self.ends[identifier] = until

    def _cancel(self, identifier: int) -> None:
        with self.town.database.begin() as session:
            try:
                commands.cancel(session, identifier, WANG)
            except ControlError:
                return

    def _report(self, *, lost: bool) -> None:
        items = self.meter.exchange(self.results)
        self.results = []
        for number, kind, payload in items:
            if kind == COMMAND:
                self.recorded.append((number, payload))
                if not lost:
                    self._take(number, payload)

    def _take(self, number: int, payload: bytes) -> None:
        result = self.meter.take(number, COMMAND, payload)
        if result in (command.DONE, command.EXPIRED):
            self.results.append((number, result))
        if result == command.DONE:
            self.done.append((command.decode(payload)[2], self.clock.us))


@given(st.lists(step, max_size=30))
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nothing_is_done_twice_or_late_or_by_one_person_and_all_of_it_ends(
    town: Town, clock: Clock, steps: list[tuple[str, int]]
) -> None:
    play = Play(town, clock)
    for action, value in steps:
        play.do(action, value)
    done = [identifier for identifier, _when in play.done]
    assert len(done) == len(set(done)), "twice"
    for identifier, when in play.done:
        assert identifier in play.ends, "without the second person"
        assert when < play.ends[identifier], "after its approval had ended"
    of_number: dict[int, set[int]] = {}
    for number, payload in play.recorded:
        of_number.setdefault(number, set()).add(command.decode(payload)[2])
    assert all(len(identifiers) == 1 for identifiers in of_number.values())
    play._report(lost=False)
    play._report(lost=False)
    clock.us += 20 * DAY_US
    for _ in range(3):
        town.tick()
    play._report(lost=False)
    with town.database.read() as session:
        for identifier in play.asked:
            (part,) = command_lists.parts(session, identifier)
            assert part.state in ("executed", "refused", "expired")
            executed = identifier in [i for i, _when in play.done]
            assert (part.state == "executed") == executed
    assert query(town.path, "SELECT id FROM commands WHERE open <> 0 OR due_us IS NOT NULL") == []
