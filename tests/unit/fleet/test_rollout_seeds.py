"""The promise of the gate, played with few nodes: below the threshold a rollout finishes, above it
it stops before failures exceed twice the canary. `make bench-rollouts` plays 300 seeds of it.
"""

import pytest

from fleet.rollouts import gate
from tests.bench import rollouts_seeds
from tests.bench.rollouts_seeds import RATES

NODES = 600


@pytest.mark.parametrize("rate", RATES)
def test_below_the_threshold_it_finishes_and_above_it_stops_in_time(rate: int) -> None:
    end = rollouts_seeds.play(7, rate, NODES)
    assert end.is_right, end


def test_sabotage_without_the_gate_it_goes_on_above_the_threshold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate, "surely", lambda *_: 0.0)
    monkeypatch.setattr(gate, "trips", lambda *_: 10**6)
    assert not rollouts_seeds.play(7, 200, NODES).is_right
