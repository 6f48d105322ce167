"""Counters that stand still while they are away, or are set to count otherwise."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_rig import HOUR, Town, keys

from fleet.migration import audit, cutover
from fleet.migration.breaches import LedgerError
from fleet.migration.handover import Typed


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    yield made
    made.close()


def test_a_terminal_that_was_taken_away_comes_back_by_dials_alone(town: Town) -> None:
    old = town.old()
    town.days(3, old)
    first = town.flowed[town.assets[0]] - 2 * 700
    town.ready()
    new = town.add_terminal(since=998_000)
    town.now += HOUR
    town.install(new, mode="instead")
    town.days(3, new)
    away = town.raw(old)
    town.now += HOUR
    town.report(old, new)  # it told something in the van
    with pytest.raises(LedgerError, match="send-back 1, then work done --final --initial"):
        town.roll_back()
    assert town.raw(old) == away
    town.roll_back(typed=Typed(town.now, town.raw(new), town.raw(old)))
    town.days(2, old)
    town.freeze()
    used = sum(line.to_index - line.from_index for line in town.lines())
    assert used == town.flowed[town.assets[0]] - first
    assert audit.audit(town.database, "2g", keys()).breach is None


def test_sabotage_without_the_dials_what_the_new_one_counted_is_lost(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = town.old()
    town.days(3, old)
    first = town.flowed[town.assets[0]] - 2 * 700
    town.ready()
    new = town.add_terminal(since=998_000)
    town.now += HOUR
    town.install(new, mode="instead")
    town.days(3, new)
    monkeypatch.setattr(cutover, "_need_dials", lambda *_: None)
    town.roll_back()
    town.days(2, old)
    town.freeze()
    used = sum(line.to_index - line.from_index for line in town.lines())
    assert used == town.flowed[town.assets[0]] - first - 3 * 700
