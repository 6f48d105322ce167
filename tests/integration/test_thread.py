"""The whole thread under fire, in small: kills of fleet and broker, power cuts, a wiped node."""

from pathlib import Path

import pytest
from fleet_here import FleetHere

from tests.bench import thread
from tests.bench.mosquitto_process import binary

PLAN = thread.Plan(nodes=6, readings=800, fleet_kills=2, broker_kills=2, power_cuts=6, seed=7)
SABOTAGE = thread.Plan(nodes=3, readings=120, fleet_kills=2, broker_kills=2, power_cuts=0, seed=7)


@pytest.fixture(autouse=True)
def _mosquitto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread, "FleetProcess", FleetHere)
    try:
        binary()
    except FileNotFoundError as e:
        pytest.skip(str(e))


async def test_nothing_is_lost_or_duplicated_under_fire(tmp_path: Path) -> None:
    outcome = await thread.Thread(tmp_path / "run", PLAN, None).run()
    print(*outcome.lines(), sep="\n")
    excused = outcome.tally.by_node.get(outcome.wiped, 0)
    assert outcome.tally.sensed >= PLAN.readings
    assert outcome.tally.lost == excused
    assert excused <= outcome.held, "the wiped node lost more than its flash held"
    assert outcome.tally.duplicated == 0
    assert outcome.tally.wrong == 0
    assert outcome.faults["power cuts"] == PLAN.power_cuts


async def test_sabotage_without_receipts_readings_are_lost(tmp_path: Path) -> None:
    sources = thread.without_receipts(tmp_path)
    outcome = await thread.Thread(tmp_path / "run", SABOTAGE, sources).run()
    print(*outcome.lines(), sep="\n")
    assert outcome.tally.lost > outcome.tally.by_node.get(outcome.wiped, 0)
