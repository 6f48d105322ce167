"""A false reading is not billed: a 0 that looks like a turn of the counter, or too much."""

from collections.abc import Callable, Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from ledger_rig import DAY, GAS, HOUR, LITRES, QUICK, Town, keys

from fleet.migration import audit, limits, scaling
from fleet.migration.scaling import Most, Read, Walked, walk
from fleet.telemetry import operations as telemetry
from fleet.telemetry.metering import bills
from fleet.telemetry.metering.days import end_us, ended
from fleet.telemetry.operations import New

TURNS = LITRES._replace(modulus=2_000_000)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A dial that shows 1.5 of 2 million."""
    made = Town(tmp_path, 0)
    made.add_asset(TURNS, since=1_000_000 - 1_500_000)
    yield made
    made.close()


def tell(town: Town, terminal_id: str, raw: int) -> None:
    new = New(town.assets[0], terminal_id, GAS, town.now, raw, 0, telemetry.LEGACY, town.now)
    with town.database.begin() as session:
        telemetry.store(session, [new])


def false_zero(town: Town, terminal_id: str) -> None:
    town.now += HOUR
    tell(town, terminal_id, 0)


def spike(town: Town, terminal_id: str) -> None:
    town.now += HOUR
    tell(town, terminal_id, town.raw(terminal_id) + 490_000 + 20_000)


False_ = Callable[[Town, str], None]


def used(town: Town) -> int:
    return sum(line.to_index - line.from_index for line in town.lines())


@pytest.mark.parametrize("false", [false_zero, spike])
@pytest.mark.parametrize("when", ["last", "between"])
def test_a_false_reading_is_not_billed(town: Town, false: False_, when: str) -> None:
    old = town.old()
    town.days(2, old)
    first = town.flowed[town.assets[0]] - 700
    town.ready()
    false(town, old)
    if when == "between":
        town.days(1, old)
    town.freeze()
    assert used(town) == town.flowed[town.assets[0]] - first
    town.days(1, old)
    assert town.index() == town.flowed[town.assets[0]] - first + town.segments()[0].start_index
    town.freeze()
    assert used(town) == town.flowed[town.assets[0]] - first
    assert audit.audit(town.database, "2g", keys()).breach is None


@pytest.mark.parametrize("false", [false_zero, spike])
def test_no_handover_goes_on_from_a_false_reading(town: Town, false: False_) -> None:
    old = town.old()
    town.days(2, old)
    first = town.flowed[town.assets[0]] - 700
    town.ready()
    new = town.add_terminal(meaning=TURNS, since=town.flowed[town.assets[0]] - 1_500_000)
    town.now += HOUR
    town.install(new, dials=False)
    town.days(2, old, new)
    false(town, old)
    tell(town, new, town.raw(new))  # at the same moment as the false one
    town.days(3, old, new)
    (verdict,) = town.judge()
    assert verdict.passed, verdict.text
    false(town, old)
    tell(town, new, town.raw(new))
    town.cut_over()
    town.days(1, old, new)
    false(town, new)
    tell(town, old, town.raw(old))
    town.roll_back()
    town.days(1, old)
    town.freeze()
    assert used(town) == town.flowed[town.assets[0]] - first
    assert audit.audit(town.database, "2g", keys()).breach is None


def test_sabotage_without_the_limit_a_false_0_is_billed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits.Limit, "most", lambda *_: None)
    monkeypatch.setattr(scaling, "goes_on", lambda *_: True)
    old = town.old()
    town.days(2, old)
    town.ready()
    false_zero(town, old)
    town.freeze()
    assert used(town) > 490_000
    assert audit.audit(town.database, "2g", keys()).breach is None


def test_a_true_turn_counts_and_much_counts_when_its_time_has_come() -> None:
    most = Most(500_000, TURNS, GAS)
    start = Walked(0, 0, 1_990_000)
    assert walk(Walked(0, 0, 1_999_900), [Read(HOUR, 50)], TURNS.modulus, most).total == 150
    turned = [Read(HOUR, 50), Read(2 * HOUR, 50)]
    assert walk(start, turned, TURNS.modulus, most).total == 0  # it may be false yet
    turned.append(Read(3 * HOUR, 60))
    assert walk(start, turned, TURNS.modulus, most).total == 10_060
    assert walk(start, [turned[0], Read(4 * HOUR, 1_990_050)], TURNS.modulus, most).total == 50
    high = [Read(HOUR, 700_100), Read(DAY + HOUR, 700_100)]
    start = Walked(0, 0, 100)
    assert walk(start, high, TURNS.modulus, most)[:2] == (700_000, DAY + HOUR)
    vouched = most._replace(accepted=frozenset(high[:1]))
    assert walk(start, high[:1], TURNS.modulus, vouched)[:2] == (700_000, HOUR)


def test_the_gap_that_is_no_estimate_is_the_programmes(tmp_path: Path) -> None:
    """`metering close` too: QUICK has two days, a programme with ten has no estimate."""
    from fleet.migration.policy import keep

    town = Town(tmp_path)
    town.now = end_us(ended(town.now))
    town.report(town.old())
    town.ready()
    town.days(5)
    town.report(town.old())
    bills.close(town.office, rig.AREA, ended(town.now), "Li Wei")
    assert town.lines()[-1].policy_us == QUICK.gap_s * 1_000_000
    with town.desk() as desk:
        keep(desk, town.programme, QUICK._replace(gap_s=10 * 86400))
    town.days(5)
    town.report(town.old())
    bills.close(town.office, rig.AREA, ended(town.now), "Li Wei")
    assert (town.lines()[-1].policy_us, town.lines()[-1].reason) == (10 * DAY, "")
    town.close()
