"""The continuity ledger: swaps, dual runs, cut-overs and rollbacks; every litre is billed once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_rig import HOUR, Town

from fleet.migration import states


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    yield made
    made.close()


def test_a_terminal_goes_from_planned_to_decommissioned(town: Town) -> None:
    old = town.old()
    town.days(3, old)
    start = town.flowed[town.assets[0]]
    first = start - 2 * 700  # its first reading
    town.ready()
    new = town.add_terminal(since=998_000)
    town.now += HOUR
    town.flow(100)
    town.install(new)
    assert town.state() == states.INSTALLED
    town.days(1, old, new)
    (verdict,) = town.judge()
    assert not verdict.passed
    assert "waits" in verdict.text
    town.days(2, old, new)
    (verdict,) = town.judge()
    assert verdict.passed, verdict.text
    (moved,) = town.cut_over()
    assert moved.at_index == town.flowed[town.assets[0]]
    assert [s.terminal_id for s in town.segments()] == [old, new]
    town.days(3, old, new)
    (line,) = town.freeze()
    assert line.to_index - line.from_index == town.flowed[town.assets[0]] - first
    assert town.settle() == town.items
    town.days(11, new)
    assert town.decommission() == town.items
    town.days(1, new)
    (line,) = town.freeze()
    assert town.index() == town.flowed[town.assets[0]]
    assert town.chain() is None
