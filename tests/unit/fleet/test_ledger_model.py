"""Random lives of a meter: swaps, rollovers, unit and clock changes, dual runs, rollbacks, bills,
deaths at any statement. What is billed is what flowed, to the last litre.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from ledger_rig import DAY, GAS, HOUR, LITRES, QUICK, Stop, Town, dies_at, keys

from fleet.migration import adopting, audit, billing, ledger, preflight, states
from fleet.migration.handover import Typed
from fleet.migration.scaling import Meaning
from fleet.migration.states import Actor

# Each litre is told by dials of 1 litre; what flows is in steps that the coarsest dial shows.
STEP = 100
LIVES = int(os.environ.get("KAPOK_LIVES", "20"))  # make soak-ledger plays more
SHAPES = (
    (LITRES, 1),
    (Meaning("m3", 1, step=1), 100),  # tenths of a cubic metre
    (Meaning("L", 0, modulus=300_000), 1),  # begins anew each 300 m3, soon
    (Meaning("m3", 3, clock_shift_s=-8 * 3600), 1),  # its clock is eight hours ahead
    (Meaning("m3", 1, modulus=5_000, clock_shift_s=90), 100),
)

step = st.one_of(
    st.tuples(st.just("flow"), st.integers(0, 60)),
    st.tuples(st.just("days"), st.integers(1, 4)),
    st.tuples(st.just("silence"), st.integers(1, 4)),
    st.tuples(st.just("install"), st.integers(0, len(SHAPES) * 4 - 1)),
    st.tuples(st.just("cut over"), st.integers(0, 60)),
    st.tuples(st.just("roll back"), st.integers(0, 60)),
    st.tuples(st.just("back by dials"), st.just(0)),
    st.tuples(st.just("freeze"), st.integers(0, 40)),
    st.tuples(st.just("settle"), st.just(0)),
    st.tuples(st.just("twice"), st.just(0)),
    st.tuples(st.just("change"), st.integers(0, len(SHAPES) - 1)),
)


class Life:
    """One meter, through its steps; `first` is what had flowed at its first reading."""

    def __init__(self, town: Town, shape: int) -> None:
        self.town = town
        meaning, litres = SHAPES[shape]
        since = 0 if meaning.modulus is None else 1_000_000 - (meaning.modulus - 30) * litres
        town.add_asset(meaning, litres, since)
        self.place = len(town.assets) - 1
        self.asset = town.assets[-1]
        self.old = town.old(self.place)
        self.new: str | None = None
        town.report(self.old, place=self.place)
        self.first = town.flowed[self.asset]
        town.ready(self.place)

    def state(self) -> str:
        return self.town.state(self.place)

    def alive(self) -> list[str]:
        return [self.old] if self.new is None else [self.old, self.new]

    def do(self, name: str, number: int) -> None:
        town, place = self.town, self.place
        if name == "flow":
            town.now += HOUR // 60
            town.flow(number * STEP, place)
        elif name in ("days", "silence"):
            told = [] if name == "silence" else self.alive()
            for _ in range(number):
                town.now += DAY
                town.flow(7 * STEP, place)
                if told:
                    town.report(*told, place=place)
        elif name == "install":
            self._install(number)
        elif name == "cut over" and self.state() == states.INSTALLED:
            town.judge(place)
            if self.state() == states.PARITY:
                self._killed(number, lambda: town.cut_over(place))
        elif name == "roll back" and self.state() in states.IN_PLACE:
            self._killed(number, self._roll_back)
            self._gone()
        elif name == "back by dials" and self.state() in states.IN_PLACE and self.new:
            if self._billed() == self.new:
                typed = Typed(town.now, town.raw(self.new, place), town.raw(self.old, place))
                town.roll_back(place, typed=typed)
            else:
                town.roll_back(place)
            self._gone()
        elif name == "freeze":
            self._killed(number, self._freeze)
        elif name == "settle":
            town.settle(place)
        elif name == "twice":
            town.report(*self.alive(), place=place)
            town.report(*self.alive(), place=place)
        elif name == "change":
            self._change(number)

    def _freeze(self) -> None:
        with self.town.desk() as desk:
            billing.freeze(desk, [self.asset], self.town.now - HOUR, QUICK)

    def _install(self, number: int) -> None:
        town, place = self.town, self.place
        if self.state() == states.ROLLED_BACK:
            with town.desk() as desk:
                preflight.make_ready(desk, [town.items[place]])
        if self.state() != states.READY:
            return
        meaning, litres = SHAPES[number % len(SHAPES)]
        mode = ("beside", "instead", "beside", "beside")[number // len(SHAPES)]
        since = town.flowed[self.asset] - (number % 7) * 1000
        new = town.add_terminal(meaning=meaning, litres=litres, since=since)
        town.now += HOUR
        self._killed(number * 2, lambda: town.install(new, place, mode))
        self.new = new

    def _roll_back(self) -> None:
        """By dials where the old terminal was taken away."""
        town, place = self.town, self.place
        if town.dials[self.old].off is None:
            town.roll_back(place)
            return
        assert self.new is not None
        typed = Typed(town.now, town.raw(self.new, place), town.raw(self.old, place))
        town.roll_back(place, typed=typed)

    def _gone(self) -> None:
        self.new = None

    def _billed(self) -> str:
        return self.town.segments(self.place)[-1].terminal_id

    def _change(self, shape: int) -> None:
        """The billed terminal is set to count in another unit, or its clock is set."""
        town = self.town
        billed = self._billed()
        if billed != self.old or self.new is not None:
            return  # what a dual run compares is not changed under it
        meaning, litres = SHAPES[shape]
        before = town.raw(billed, self.place)
        dial = town.dials[billed]
        town.now += HOUR
        dial.meaning, dial.litres = meaning, litres
        dial.since = town.flowed[self.asset] - 5000
        with town.desk(Actor.PERSON, "Li Wei") as desk:
            adopting.changed(
                desk, self.asset, GAS, meaning, ledger.UNIT, town.now, before,
                town.raw(billed, self.place),
            )  # fmt: skip

    def _killed(self, statement: int, act: Any) -> None:
        """The process dies at a statement; then it is done again."""
        if statement % 3 == 0:
            with dies_at(self.town.database, statement // 3 + 1):
                try:
                    act()
                    return  # it had fewer statements
                except Stop:
                    pass
        act()

    def check(self) -> None:
        """All that flowed is billed."""
        town = self.town
        billed, shown = self._billed(), -1
        while True:  # until the dial has not just begun anew: a turn counts when it goes on
            before = shown
            town.now += HOUR
            town.report(*self.alive(), place=self.place)
            shown = town.raw(billed, self.place)
            if 0 <= before < shown:
                break
            town.flow(STEP, self.place)
        flowed = town.flowed[self.asset] - self.first
        segments = town.segments(self.place)
        index = town.index(self.place)
        assert index is not None
        assert index - segments[0].start_index == flowed
        for line in town.lines(self.place):
            assert line.to_index - segments[0].start_index <= flowed
        with town.desk() as desk:
            billing.freeze(desk, [self.asset], town.now)
        used = sum(line.to_index - line.from_index for line in town.lines(self.place))
        assert used == flowed


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, 0)
    yield made
    made.close()


@given(st.integers(0, len(SHAPES) - 1), st.lists(step, max_size=14))
@hypothesis_settings(
    max_examples=LIVES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.generate),  # a life takes long: none is made shorter
)  # fmt: skip
def test_what_is_billed_is_what_flowed(
    town: Town, shape: int, steps: list[tuple[str, int]]
) -> None:
    life = Life(town, shape)
    for name, number in steps:
        life.do(name, number)
    life.check()
    found = audit.audit(town.database, "2g", keys())
    assert found.breach is None, found.breach.line()
