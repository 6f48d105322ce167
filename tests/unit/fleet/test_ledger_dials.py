"""Counters that stand still while they are away, or are set to count otherwise."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_rig import GAS, HOUR, Town, keys

from fleet.migration import adopting, audit, cutover, ledger
from fleet.migration.adopting import Told
from fleet.migration.breaches import LedgerError
from fleet.migration.handover import Typed
from fleet.migration.scaling import Meaning
from fleet.migration.states import Actor


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


def change(town: Town, kind: str, told: Told, last: int | None, first: int) -> Meaning:
    with town.desk(Actor.PERSON, "Li Wei") as desk:
        made = adopting.read_now(desk, town.assets[0], GAS, told)
        adopting.changed(desk, town.assets[0], GAS, made, kind, town.now, last, first)
    return made


def turning(town: Town) -> str:
    """A meter that begins anew soon; its terminal."""
    meaning = Meaning("L", 0, modulus=500_000, step=10)
    town.assets.clear()
    town.items.clear()
    town.add_asset(meaning, since=1_000_000 - 498_000)
    town.days(2, town.old(), litres=500)
    town.ready()
    return town.old()


def test_a_counter_turns_on_after_its_clock_was_set(town: Town) -> None:
    old = turning(town)
    first = town.flowed[town.assets[0]] - 500
    town.now += HOUR
    shown = town.raw(old)
    made = change(town, ledger.CLOCK, Told(clock_shift_s=-60), shown, shown)
    assert made == Meaning("L", 0, 500_000, -60, 10)
    town.dials[old].meaning = made
    town.days(4, old, litres=500)
    town.freeze()
    used = sum(line.to_index - line.from_index for line in town.lines())
    assert used == town.flowed[town.assets[0]] - first


def test_another_unit_needs_its_own_turn(town: Town) -> None:
    turning(town)
    told = Told(unit="m3", decimals=2)
    with pytest.raises(LedgerError, match="--modulus N in the new one"):
        change(town, ledger.UNIT, told, 0, 0)
    town.now += HOUR
    shown = town.raw(town.old())
    made = change(town, ledger.UNIT, told._replace(modulus=0), shown, 7)
    assert made == Meaning("m3", 2, None, 0, 1)  # steps of 10 litres still


@pytest.mark.parametrize("kind", [ledger.UNIT, ledger.CLOCK])
def test_what_flowed_since_the_last_report_is_told_at_a_change(town: Town, kind: str) -> None:
    old = town.old()
    town.days(2, old)
    town.ready()
    first = town.flowed[town.assets[0]] - 700
    town.now += HOUR
    town.flow(500)
    told = Told(decimals=3)
    with pytest.raises(LedgerError, match="--last N"):
        change(town, kind, told, None, town.raw(old))
    change(town, kind, told, town.raw(old), town.raw(old))
    town.days(1, old)
    town.freeze()
    used = sum(line.to_index - line.from_index for line in town.lines())
    assert used == town.flowed[town.assets[0]] - first
    change(town, ledger.SET, told, None, 0)  # nobody knows what it had shown
