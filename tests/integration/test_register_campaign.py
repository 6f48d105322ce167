"""The register campaign in small: months of pulses, power cuts, and what it notices."""

from typing import Any

import pytest
from node.modules import forget  # noqa: F401  loaded before a rig stands in for the chip

from tests.bench import register
from tests.bench.register import ENDURANCE, Life, Verdict

HOURS, CUTS = 700, 120


def live(warned: bool, sabotage: Any = None) -> Verdict:
    life = Life(3, HOURS, CUTS, warned=warned)
    life.sabotage = sabotage
    return life.live()


def test_with_the_power_fail_input_the_register_equals_the_pulses_sent() -> None:
    found = live(True)
    assert found.faults == []
    assert found.cuts > CUTS
    assert found.counted_l == found.sent_l > 0


def test_without_it_what_is_missing_is_bounded_and_flagged() -> None:
    found = live(False)
    assert found.faults == []
    assert found.gaps > 10
    assert found.counted_l < found.sent_l


def _register() -> Any:
    import node.store.register  # type: ignore[import-not-found, unused-ignore]

    return node.store.register.Register


def _no_last_words() -> None:
    _register().fail = lambda self: None


def _not_at_the_freeze() -> None:
    _register().freeze = lambda self, slot, sequence: None


def _gap_untold() -> None:
    _register().gap = False


def _wheel_forgotten() -> None:
    real = _register()._begin
    _register()._begin = lambda self, place, litres: real(self, -1, litres)


@pytest.mark.parametrize(
    ("warned", "sabotage", "seen"),
    [
        (True, _no_last_words, "quarters of"),
        (False, _not_at_the_freeze, "quarters lost of"),
        (False, _gap_untold, "no gap is told"),
        (True, _wheel_forgotten, "quarters of"),
    ],
)
def test_the_campaign_notices_a_guard_that_is_gone(warned: bool, sabotage: Any, seen: str) -> None:
    found = live(warned, sabotage)
    assert any(seen in fault for fault in found.faults), found.faults[:3]


def test_a_season_of_records_wears_no_sector_of_littlefs() -> None:
    worn = register.wear(60)
    assert worn["records"] == 60 * 24
    assert worn["most"] * (10 * 365 // 60) < ENDURANCE // 10
