"""Every family's driver through 200 seeded scenarios, each of which foretells its outcome."""

import pytest

from hil.virtual.modem.families import FAMILIES
from tests.bench import campaign, cases, modems


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_scenario_comes_as_foretold(family: str) -> None:
    # Every fourth, each case among them: make bench-scenarios plays them all.
    outcomes = [campaign.play(family, seed) for seed in range(0, campaign.COUNT, 4)]
    assert [o for o in outcomes if o.wrong] == []
    assert {o.case for o in outcomes} == set(cases.KINDS)


def test_a_scenario_is_the_same_again() -> None:
    for seed in range(len(cases.KINDS)):
        assert campaign.play("bc660k", seed) == campaign.play("bc660k", seed)


def test_without_a_second_wake_a_driver_loses_what_others_deliver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(campaign, "PAUSES_S", (0,))
    outcomes = [campaign.play("bc660k", seed) for seed in range(3 * len(cases.KINDS))]
    assert [o for o in outcomes if "not delivered" in o.wrong]


def test_release_assistance_saves_most_of_a_report() -> None:
    for row in modems.rows("bc660k", False):
        assert row.assisted is not None
        assert row.assisted.mj < row.plain.mj
        assert row.reference_mj is not None
        assert row.air_mj is not None
        # With the reference terminal's powers the airtimes are of the reference's size.
        assert 0.4 < row.air_mj / row.reference_mj < 1.2
