"""How long a battery lasts: the budget's arithmetic, the command, and what the city asked for."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fleet.battery import budget, figures, life, measured
from fleet.battery.budget import Plan
from fleet.cli.main import kapok

SENSE = measured.Sense(100, boot_ms=250, sense_ms=10, turns=100_000)
CONTACT = measured.Contact(10, 250, 10, 1000, 2000, 100, 500_000, 660, 3700, 133, 43, 83)
MODEM = budget.Modem("m", 3.3, 0.8, 0.11)
PLAN = Plan(sample_s=3600, report_s=86400, door="coap", ecl=1, scan_ms=20, retries=0.0)


def made(**plan: Any) -> budget.Budget:
    chip, cell = figures.chip("esp32s3"), figures.battery("er26500")
    return budget.make(cell, chip, MODEM, SENSE, CONTACT, replace(PLAN, **plan))


def rows(found: budget.Budget) -> dict[str, float]:
    return {row.phase: row.mah for row in found.rows}


def run(*arguments: str) -> Any:
    return CliRunner().invoke(kapok, ["battery", *arguments])


# -- arithmetic ---------------------------------------------------------------------------------


def test_each_phase_is_time_times_current() -> None:
    found = rows(made())
    assert found["boot"] == pytest.approx(25 * 0.250 * 47.0 / 3600)
    assert found["sense"] == pytest.approx(24 * (0.010 + 0.1 * 2.42) * 47.0 / 3600)
    assert found["send"] == pytest.approx(2.0 * 31.7 / 3600)
    assert found["modem"] == pytest.approx(660 / 3.3 / 3600)
    assert found["sleep"] == pytest.approx(8.0 / 1000 * 24)
    assert found["ulp"] == pytest.approx(14.0 * 10 / 20 / 1000 * 24)
    assert found["modem asleep"] == pytest.approx(0.8 / 1000 * 24)


def test_life_is_usable_charge_over_all_that_takes_of_it() -> None:
    found = made()
    taken = found.daily_mah + 9000 * 0.01 / 365.25
    assert found.years == pytest.approx(9000 * 0.75 / taken / 365.25)


def test_a_chip_without_a_co_processor_wakes_for_each_edge() -> None:
    chip, cell = figures.chip("esp32c3"), figures.battery("er26500")
    plan = replace(PLAN, scan_ms=0, pulses=100)
    awake = budget.make(cell, chip, MODEM, SENSE, CONTACT, plan)
    idle = budget.make(cell, chip, MODEM, SENSE, CONTACT, replace(plan, pulses=0))
    assert "ulp" not in rows(awake)
    each = (0.250 + 0.010 + 0.1 * 3.6) * 28.0 / 3600
    assert awake.daily_mah - idle.daily_mah == pytest.approx(200 * each)


def test_to_be_reached_in_between_costs_by_how_often() -> None:
    asleep = [rows(made(edrx_s=s))["modem asleep"] for s in (0.0, 655.36, 81.92, 20.48)]
    assert asleep == sorted(asleep)
    assert asleep[3] > 10 * asleep[0]


def test_retries_make_contacts_dearer_and_nothing_else() -> None:
    without, found = rows(made()), rows(made(retries=0.5))
    assert found["modem"] == pytest.approx(1.5 * without["modem"])
    assert found["sleep"] == without["sleep"]


@given(st.sampled_from(sorted(life.PLANS.values())), st.integers(0, 2), st.floats(0, 100))
def test_more_of_anything_never_lengthens_a_life(report_s: int, ecl: int, leak: float) -> None:
    base = made(report_s=report_s, ecl=ecl)
    assert 0 < made(report_s=report_s, ecl=ecl, leak_ua=leak).years <= base.years
    assert made(report_s=report_s // 2, ecl=ecl).years < base.years


# -- what was measured, and what it means -------------------------------------------------------


def test_a_gas_meter_lives_ten_years_at_level_1_and_six_at_level_2() -> None:
    years = [life.of("gas-meter", "daily", ecl).budget.years for ecl in (0, 1, 2)]
    assert years[0] > years[1] >= 10
    assert years[2] >= 6


def test_it_does_so_with_a_chip_half_as_fast_or_a_tenth_less_in_the_battery() -> None:
    for ecl, least in ((1, 10), (2, 6)):
        found = life.of("gas-meter", "daily", ecl).budget
        assert budget.slower(found, ("sense", "work"), 2.0).years >= least
        cell = found.battery.model_copy(update={"usable": 0.9 * found.battery.usable})
        assert replace(found, battery=cell).years >= least


def test_by_mqtt_with_tls_it_would_not() -> None:
    assert life.of("gas-meter", "daily", 2, door="mqtt").budget.years < 6


def test_a_drainage_point_is_known_too() -> None:
    assert life.of("drainage", "daily", 1).budget.years > 5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("hourly", 3600), ("daily", 86400), ("weekly", 604800), ("6h", 21600), ("2d", 172800)],
)
def test_plans_in_words(text: str, seconds: int) -> None:
    assert life.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0h", "8d", "9999h", "h", "6", "6m", "-1d", "6h\n"])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(life.BatteryError):
        life.seconds(text)


# -- the command --------------------------------------------------------------------------------


def test_the_command_shows_what_every_number_rests_on() -> None:
    result = run("gas-meter", "--ecl", "1", "--report", "daily")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("gas-meter, er26500, daily by coap, ECL1: ")
    assert float(lines[0].split()[-2]) >= 10
    phases = {line.split("  ")[0].strip() for line in lines}
    assert {"boot", "sense", "work", "attach", "send", "sleep", "ulp", "modem"} <= phases
    assert "self-discharge" in result.output
    assert "MQTT, TLS" in result.output
    assert "half as fast" in result.output


def test_as_json() -> None:
    told = json.loads(run("gas-meter", "--json").output)
    daily = sum(row["mah"] for row in told["rows"])
    assert daily == pytest.approx(told["daily_mah"], abs=0.001)
    assert told["years_by_door"]["coap"]["ecl1"] == told["years"]
    assert all(row["basis"] for row in told["rows"])


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_pictures(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"life.{kind}"
    assert run("gas-meter", "--plot", str(path)).exit_code == 0
    if kind == "svg":
        assert path.read_text().startswith("<svg ")
        assert "self-discharge" in path.read_text()
    else:
        with Image.open(path) as image:
            assert image.size[0] == 860


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lamppost"], "lives from the mains"),
        (["toaster"], "known are"),
        (["gas-meter", "--report", "yearly"], "hourly, daily"),
        (["gas-meter", "--battery", "aa"], "one of er26500"),
        (["gas-meter", "--battery", "../modems/bc95"], "one of er26500"),
        (["gas-meter", "--plot", "life.bmp"], ".svg or .png"),
    ],
)
def test_refusals_are_one_line(arguments: list[str], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert says in result.output
    assert "Traceback" not in result.output


def test_a_type_that_nobody_measured_says_how_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(measured, "hw_dir", lambda: tmp_path)
    with pytest.raises(measured.MeasuredError, match="make measure ARGS=gas-meter"):
        measured.load("gas-meter")
    (tmp_path / "measured").mkdir()
    (tmp_path / "measured/gas-meter.toml").write_text('node = "gas-meter"\n')
    with pytest.raises(measured.MeasuredError, match="make measure"):
        measured.load("gas-meter")


def test_what_was_measured_is_read_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = measured.load("gas-meter")
    monkeypatch.setattr(measured, "hw_dir", lambda: tmp_path)
    measured.write(found)
    assert measured.load("gas-meter") == found


def test_every_chip_and_every_battery_has_its_figures() -> None:
    for name in ("esp32", "esp32s3", "esp32c3"):
        assert figures.chip(name).name == name
    for name in figures.batteries():
        assert figures.battery(name).name == name
