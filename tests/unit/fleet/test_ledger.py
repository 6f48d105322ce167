"""The continuity ledger: swaps, dual runs, cut-overs and rollbacks; every litre is billed once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_rig import DAY, GAS, HOUR, LITRES, QUICK, Town, keys

from fleet.migration import audit, billing, listing, states
from fleet.migration.breaches import LedgerError
from fleet.migration.scaling import Meaning, advance, check, scaled


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


def clean(town: Town) -> None:
    found = audit.audit(town.database, "2g", keys())
    assert found.breach is None, found.breach.line()


def test_a_terminal_that_stays_is_billed_on_through_its_new_bearer(town: Town) -> None:
    old = town.old()
    town.days(3, old)
    town.ready()
    town.install(old, mode="same", dials=False)
    town.days(3, old)
    assert town.judge()[0].passed
    town.cut_over()
    assert len(town.segments()) == 1
    town.freeze()
    town.settle()
    town.days(11, old)
    assert town.decommission() == town.items
    town.days(1, old)
    assert town.index() == town.flowed[town.assets[0]]
    clean(town)


def test_a_terminal_that_stays_and_falls_silent_is_apart(town: Town) -> None:
    town.days(3, town.old())
    town.ready()
    town.install(town.old(), mode="same", dials=False)
    town.days(4)
    (verdict,) = town.judge()
    assert "apart" in verdict.text
    town.roll_back()
    assert town.state() == states.ROLLED_BACK


def test_what_was_estimated_too_high_of_a_register_that_ends_is_told(town: Town) -> None:
    old = town.old()
    town.days(3, old)
    town.ready()
    (asset_id,) = town.assets
    town.now += HOUR
    with town.desk() as desk:
        estimated = {(asset_id, GAS): town.flowed[asset_id] + 400}
        billing.freeze(desk, [asset_id], town.now, QUICK, estimated)
    town.now += HOUR
    town.install(old, mode="same", dials=False, terminal_id="")
    assert town.judge()[0].passed
    town.cut_over()
    with town.database.read() as session:
        assert [one["over"] for one in listing.of_asset(session, asset_id)["segments"]] == [400]
    town.roll_back()  # who goes on comes up to it
    with town.database.read() as session:
        assert [one["over"] for one in listing.of_asset(session, asset_id)["segments"]] == [0, 0]
    clean(town)


def test_a_register_is_retired_and_comes_back(town: Town) -> None:
    old = town.old()
    town.days(3, old)
    town.ready()
    town.install(old, mode="same", dials=False, terminal_id="")
    assert town.judge()[0].passed
    (moved,) = town.cut_over()
    assert moved.at_index == town.flowed[town.assets[0]]
    assert town.segments()[-1].to_us == town.now
    town.days(1)
    town.freeze()
    assert town.settle() == town.items
    clean(town)
    town.roll_back()
    town.days(2, old)
    town.freeze()
    assert town.lines()[-1].to_index == town.flowed[town.assets[0]]
    clean(town)


@pytest.mark.parametrize("mode", ["beside", "instead", "same"])
def test_an_asset_without_a_register_goes_when_its_new_terminal_is_heard(
    town: Town, mode: str
) -> None:
    town.add_asset(kind="drainage")
    town.ready(1)
    new = town.old(1) if mode == "same" else town.add_terminal(role="drainage")
    town.install(new, 1, mode=mode, dials=False)
    assert town.judge(1)[0].text == "waits: 0 readings over 0 s"
    town.days(2, new, place=1)
    assert "waits: 2 readings" in town.judge(1)[0].text
    town.days(1, new, place=1)
    assert town.judge(1)[0].passed
    town.cut_over(1)
    town.settle(1)
    assert town.segments(1) == []
    town.now += 11 * DAY
    town.decommission(1)
    clean(town)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("nothing", "apart: 259200 s without a reading"),
        ("the old one", "apart: 259200 s without a reading"),
        ("before a gap", "apart: 259200 s without a reading"),
    ],
)
def test_attack_a_terminal_that_nobody_hears_replaces_none(
    town: Town, told: str, text: str
) -> None:
    """A manhole's new terminal that never speaks passed, and the old one was let go."""
    town.add_asset(kind="drainage")
    town.ready(1)
    new = town.add_terminal(role="drainage")
    town.install(new, 1, dials=False)
    if told == "before a gap":
        town.days(3, new, place=1)
    town.days(3, *([town.old(1)] if told == "the old one" else []), place=1)
    (verdict,) = town.judge(1)
    assert (verdict.passed, verdict.text) == (False, text)
    with pytest.raises(LedgerError, match="is installed"):
        town.cut_over(1)


def test_an_old_terminal_that_dies_in_the_dual_run_loses_nothing(town: Town) -> None:
    old = town.old()
    town.days(3, old)
    first = town.flowed[town.assets[0]] - 2 * 700
    town.ready()
    new = town.add_terminal(since=990_000)
    town.now += HOUR
    town.install(new)
    town.days(3, old, new)
    assert town.judge()[0].passed
    town.days(5, new)
    town.freeze()
    assert town.lines()[-1].reason == "silent"
    town.days(1, new)
    town.cut_over()
    assert town.segments()[-1].pair == "dials"
    town.freeze()
    used = sum(line.to_index - line.from_index for line in town.lines())
    assert used == town.flowed[town.assets[0]] - first
    clean(town)


def test_a_gap_is_told_as_an_estimate_that_the_next_bill_makes_good(town: Town) -> None:
    old = town.old()
    town.days(2, old)
    town.ready()
    first = town.flowed[town.assets[0]] - 700
    town.days(4)
    middle = town.now
    town.days(4)
    town.report(old)
    town.freeze(middle)
    (line,) = town.lines()
    assert (line.quality, line.reason) == (1, "between")
    assert line.to_index - line.from_index == 700 + 4 * 700
    town.freeze()
    used = sum(line.to_index - line.from_index for line in town.lines())
    assert used == town.flowed[town.assets[0]] - first
    clean(town)


def test_a_reading_that_goes_back_or_is_suspect_counts_for_nothing(town: Town) -> None:
    old = town.old()
    town.days(2, old)
    town.ready()
    town.flow(9000)
    town.now += HOUR
    town.report(old, quality=2)
    town.flow(-9000)
    town.now += HOUR
    town.flow(-500)
    town.report(old)
    town.flow(500)
    assert town.index() == town.flowed[town.assets[0]]


def test_units_are_scaled_to_the_last_digit_and_others_refused() -> None:
    assert scaled(12345, Meaning("m3", 1), 1) == 1_234_500
    assert scaled(12345, Meaning("L", 0), 1) == 12345
    assert scaled(12345, Meaning("m3", 4), 1) == 1234
    assert scaled(7, Meaning("MWh", 0), 22) == 700_000
    assert advance(99_999_990, 5, 100_000_000) == 15
    assert advance(5, 99_999_990, 100_000_000) is None
    assert advance(5, 4, None) is None
    for wrong in (
        Meaning("kWh", 0), Meaning("m3", 10), Meaning("m3", 3, 5), Meaning("m3", 3, None, 10**9),
        LITRES._replace(step=0),
    ):  # fmt: skip
        with pytest.raises(LedgerError):
            check(wrong, 1)


WORKER = """
import sys
sys.path[:0] = sys.argv[2].split(":")
import ledger_rig
from fleet.db.base import Database
from fleet.migration import cutover, billing
from fleet.migration.desk import Office
from fleet.migration.states import Actor
database = Database(sys.argv[1])
now = int(sys.argv[3])
office = Office(database, ledger_rig.signer(), lambda: now)
print("ready", flush=True)
ids = list(range(1, 13))
for one in ids:
    office.each([one], Actor.FLEET, "", cutover.cut_over)
    office.each([one], Actor.FLEET, "", lambda d, a: billing.freeze(d, a, now))
    print(one, flush=True)
"""


def test_a_fleet_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    town = Town(tmp_path, 12, QUICK)
    for place in range(12):
        town.report(town.old(place), place=place)
    town.ready(*range(12))
    news = [town.add_terminal() for _ in range(12)]
    town.now += HOUR
    for place, new in enumerate(news):
        town.install(new, place)
    for _ in range(3):
        town.now += DAY
        for place, new in enumerate(news):
            town.flow(100 * place + 7, place)
            town.report(town.old(place), new, place=place)
    town.judge(*range(12))
    arguments = [sys.executable, "-c", WORKER, str(town.database.engine.url),
                 "tests/cpython:firmware", str(town.now)]  # fmt: skip
    for killed_at in ("3", "8", None):
        worker = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert worker.stdout is not None
        for line in worker.stdout:
            if line.strip() == killed_at:
                os.kill(worker.pid, signal.SIGKILL)
                break
        worker.stdout.close()
        worker.wait()
    for place in range(12):
        assert town.index(place) == town.flowed[town.assets[place]]
        assert len(town.segments(place)) == 2
        assert len(town.lines(place)) == 1
    town.roll_back()  # signed by this process, whose key is the one that is trusted
    assert town.index() == town.flowed[town.assets[0]]
    clean(town)
    town.close()
