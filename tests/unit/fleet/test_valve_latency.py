"""How soon a command closes a valve: the sum of what is on the way, and what it costs to hear."""

import json
from itertools import pairwise

import pytest
from click.testing import CliRunner

from fleet import schema
from fleet.battery import figures, reach, reaching
from fleet.battery.life import BatteryError
from fleet.battery.measured import Contact, Sense
from fleet.cli.main import kapok

CONTACT = Contact(
    contacts=1, boot_ms=250, sense_ms=50, attach_ms=1300, send_ms=1400, listen_ms=100,
    turns=100_000, modem_mj=600, modem_ms=3000, up=100, down=40, up_plain=80,
)  # fmt: skip
SENSE = Sense(wakes=1, boot_ms=250, sense_ms=50, turns=100_000)
CHIP = figures.chip("esp32s3")
WORK_S = 100_000 * CHIP.vm.turn_us / 1e6
DEFAULTS = {key: rule[-1] for key, rule in schema.rules("gas-meter").items()}


def test_a_latency_is_the_sum_of_what_is_on_the_way() -> None:
    found = reach.remote(86_400, CONTACT, CHIP, 15, 300, attach=True)
    assert found.contact_s == pytest.approx(3.1 + WORK_S)
    assert found.worst_s == pytest.approx(86_400 + 3.1 + WORK_S + 15)
    paged = reach.remote(20.48, CONTACT, CHIP, 15, 300, attach=False)
    assert paged.worst_s == pytest.approx(20.48 + 1.8 + WORK_S + 15)
    assert paged.failed_s == 375


def test_by_itself_a_danger_closes_in_its_own_time() -> None:
    found = reach.by_itself(DEFAULTS, SENSE, CHIP, 15)
    wake = 0.3 + WORK_S
    assert found["gas"] == pytest.approx(2 * wake + DEFAULTS["gas_s"] + 15)
    assert found["earthquake"] == pytest.approx(wake + DEFAULTS["quake_s"] + 15)
    assert found["leak"] > DEFAULTS["leak_s"]
    assert set(found) == {"gas", "earthquake", "burst", "over_flow", "leak"}
    off = {**DEFAULTS, "gas_permille": 0, "burst_l_h": 0, "leak_l_h": 0}
    assert set(reach.by_itself(off, SENSE, CHIP, 15)) == {"earthquake", "over_flow"}


@pytest.mark.parametrize("ecl", [0, 1, 2])
def test_the_sooner_it_is_reached_the_more_it_costs(ecl: int) -> None:
    found = reaching.of("gas-meter", ecl)
    for kind in ("PSM", "DRX"):  # two ways to pay for it
        plans = [plan for plan in found.plans if (kind == "PSM") == plan.name.startswith("PSM")]
        assert len(plans) >= 3
        for slow, quick in pairwise(plans):
            assert quick.latency.worst_s < slow.latency.worst_s
            assert quick.daily_mah > slow.daily_mah
            assert quick.years < slow.years
    daily = found.plans[0]
    assert 86_400 < daily.latency.worst_s < 86_400 + 60
    assert daily.years > (10 if ecl < 2 else 6)


def test_a_type_without_a_valve_is_refused() -> None:
    with pytest.raises(BatteryError, match="has no valve"):
        reaching.of("drainage", 1)


def test_the_command_shows_both_tables() -> None:
    shown = CliRunner().invoke(kapok, ["valve", "latency", "gas-meter", "--ecl", "2"])
    assert shown.exit_code == 0
    for word in ("PSM, daily report", "eDRX 20.48 s", "J/day", "earthquake", "closing by itself"):
        assert word in shown.output
    told = json.loads(CliRunner().invoke(kapok, ["valve", "latency", "--json"]).output)
    assert told["plans"][0]["worst_s"] > 86_400
    assert set(told["closes_by_itself"]) == {"leak", "over_flow", "burst", "gas", "earthquake"}


def test_a_wrong_type_is_one_line() -> None:
    shown = CliRunner().invoke(kapok, ["valve", "latency", "drainage"], standalone_mode=False)
    assert "has no valve" in str(shown.exception)
