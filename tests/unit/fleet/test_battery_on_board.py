"""What a bench measured on a board goes before estimates, and what is computed never does."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fleet.battery import figures, life, onboard
from fleet.battery.onboard import Currents, Heap, OnBoard, OnBoardError, Phase, Times
from fleet.cli.battery import battery

BOARD = "esp32s3-bc660k"
REAL = OnBoard(
    board=BOARD, chip="esp32s3", rig="bench-1", place="meter-1", date="2026-11-26", commit="abc",
    time=Times(verify_ms=412.5, turn_us=3.1, boot_ms=260), heap=Heap(selftest=187_104),
    current=Currents(sleep_ua=31.5, busy_ma=52.25), wake={"boot": Phase(ms=454.1, uc=18_691.4)},
)  # fmt: skip
COMPUTED = REAL.model_copy(update={"rig": onboard.VIRTUAL})


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In place of hw/measured/boards."""
    monkeypatch.setattr(onboard, "path_of", lambda board: tmp_path / f"{board}.toml")
    return tmp_path


def test_what_was_measured_is_read_as_it_was_written() -> None:
    assert onboard.load(BOARD) is None
    onboard.write(REAL)
    assert onboard.load(BOARD) == REAL


def test_measured_figures_replace_the_estimates_and_no_others() -> None:
    chip = figures.chip("esp32s3")
    better = REAL.better(chip)
    assert (better.power_ma.busy, better.vm.turn_us) == (52.25, 3.1)
    assert better.power_ma.idle == chip.power_ma.idle
    assert better.power_ua == chip.power_ua


def test_a_battery_lives_by_what_was_measured_and_the_command_says_so() -> None:
    before = life.of("gas-meter", "daily", 1).budget
    onboard.write(REAL)
    after = life.of("gas-meter", "daily", 1).budget
    assert after.years < before.years
    rows = {row.phase: row for row in after.rows}
    assert rows["sleep"].mah == pytest.approx(31.5 / 1000 * 24)
    assert "measured on meter-1 of rig bench-1" in rows["sleep"].basis
    assert not {"ulp", "modem asleep", "board"} & set(rows), "a meter sees them in one"
    out = CliRunner().invoke(battery, ["gas-meter"], prog_name="kapok battery").output
    assert "Measured on meter-1 of rig bench-1, 2026-11-26: " in out
    out = CliRunner().invoke(battery, ["gas-meter", "--json"]).output
    assert json.loads(out)["on_board"]["sleep_ua"] == 31.5


def test_a_node_that_is_to_be_reached_keeps_the_row_of_its_paging() -> None:
    onboard.write(REAL)
    rows = {row.phase for row in life.of("gas-meter", "daily", 1, edrx_s=20.48).budget.rows}
    assert {"modem asleep", "ulp"} <= rows


def test_what_a_virtual_board_computed_changes_nothing() -> None:
    before = life.of("gas-meter", "daily", 1)
    onboard.write(COMPUTED)
    assert onboard.read(BOARD) == COMPUTED
    assert life.of("gas-meter", "daily", 1) == before
    out = CliRunner().invoke(battery, ["gas-meter"]).output
    assert "no board was measured" in out


def test_a_virtual_board_never_takes_a_real_ones_place() -> None:
    onboard.write(COMPUTED)
    onboard.write(REAL)
    with pytest.raises(OnBoardError, match="a virtual board does not replace it"):
        onboard.write(COMPUTED)
    assert onboard.load(BOARD) == REAL


@pytest.mark.parametrize(
    ("text", "says"),
    [("rig = ", "toml"), ('board = "x"', "validation"), (None, "it is of esp32s3-bc660k")],
)
def test_a_file_that_cannot_be_used_is_one_line(folder: Path, text: str | None, says: str) -> None:
    onboard.write(REAL)
    written = (folder / f"{BOARD}.toml").read_text()
    (folder / "other.toml").write_text(written if text is None else text)
    with pytest.raises(OnBoardError, match=says) as caught:
        onboard.load("other")
    assert "\n" not in str(caught.value)
