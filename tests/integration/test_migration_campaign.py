"""A small town's migration from CSV to decommissioned: the fleet's process is killed on the way,
items are rolled back, and what is billed is what flowed. `make soak-migration` has 10,000.
"""

from pathlib import Path

import pytest

from tests.bench import migration
from tests.bench.migration_sabotage import BOTH, UNTIED


def test_a_town_moves_through_kills_and_rollbacks(tmp_path: Path) -> None:
    result = migration.run(tmp_path, 30, kills=5, rollbacks=5)
    told = migration.tell(result)
    proof = result.rehearsed.verdict
    assert result.is_well, told
    assert (result.kills, result.unanswered) == (5, 3)
    assert result.rollbacks >= 5
    assert proof.told == proof.stored > 1000
    assert (proof.lost, proof.twice, proof.altered, proof.kept) == (0, 0, 0, 0)
    assert proof.registers > 20
    assert (proof.less, proof.more) == ((), ())
    assert set(result.bad) == {"imei-twice", "index", "dead", "sim-bound"}
    for name in ("imei-twice", "index", "sim-bound"):
        assert result.imported.get(name, 0) >= 1, told
    assert result.rehearsed.states == {"decommissioned": result.rehearsed.items}


@pytest.mark.parametrize("guard", [UNTIED, BOTH])
def test_without_its_guards_the_ledger_bills_wrongly_and_the_campaign_says_so(
    tmp_path: Path, guard: str
) -> None:
    result = migration.run(tmp_path, 10, kills=0, rollbacks=2, sabotage=guard)
    proof = result.rehearsed.verdict
    assert not result.is_well
    assert proof.less or proof.more
    assert result.rehearsed.breach
    # What came in is whole all the same: the harm is in the bills alone.
    assert (proof.lost, proof.twice, proof.altered) == (0, 0, 0)
