"""The journal on the real littlefs in the MicroPython VM: power cut at every flash operation."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VM = ROOT / "tests" / "vm"


def play(micropython: list[str], heap: str, script: str, *arguments: str) -> dict[str, Any]:
    """The last line that a VM script printed: finalisers of cut devices print before it."""
    command = [*micropython, "-X", f"heapsize={heap}", str(VM / script)]
    command += [str(ROOT / "firmware"), str(ROOT / "hil/virtual/shims"), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines = ran.stdout.strip().splitlines()
    assert ran.returncode == 0, ran.stderr[-2000:]
    result: dict[str, Any] = json.loads(lines[-1])
    return result


@pytest.mark.parametrize("scene", ["ring", "full", "archive"])
def test_a_power_cut_at_any_flash_operation_costs_at_most_the_record_being_written(
    micropython: list[str], scene: str
) -> None:
    result = play(micropython, "1m", "journal_campaign.py", scene, "none")
    operations = sum(result["operations"].values())
    print(f"{scene}: {result['cuts']} cuts, {operations} flash operations")
    assert result["bad"] == []
    assert result["cuts"] == 3 * operations > 700


@pytest.mark.parametrize(
    ("scene", "sabotage", "seen"),
    [
        ("ring", "append_not_closed", "given twice"),
        ("ring", "append_rewrites_in_place", "given twice"),
        ("ring", "trim_deletes_before_it_persists", "miscounted"),
        ("ring", "ledger_in_place", "doubled"),
        ("ring", "numbering_from_records_only", "given twice"),
        ("full", "drop_without_a_note", "miscounted"),
    ],
)
def test_the_campaign_notices_a_guard_that_is_gone(
    micropython: list[str], scene: str, sabotage: str, seen: str
) -> None:
    result = play(micropython, "1m", "journal_campaign.py", scene, sabotage)
    assert any(seen in what for *_, what in result["bad"]), result["bad"]


def test_a_full_file_system_drops_routine_records_and_keeps_the_others(
    micropython: list[str],
) -> None:
    result = play(micropython, "2m", "journal_full.py", "full")
    assert (result["errno"], result["same"], result["corrupt"]) == (28, True, 0)
    routine, event, alarm = result["dropped"]
    assert routine > 500
    assert event < 90
    assert alarm == 0
    assert result["depth"] + sum(result["dropped"]) == result["next"] - 1 == 930
    assert result["left"] == result["found"] == result["depth"] - result["trimmed"]


def test_a_file_system_full_of_other_files_is_one_clear_error(micropython: list[str]) -> None:
    result = play(micropython, "2m", "journal_full.py", "alien")
    assert result["cause"] == 28
    assert result["next"] > 0


def test_an_append_costs_few_operations_and_an_open_journal_little_heap(
    micropython: list[str],
) -> None:
    result = play(micropython, "8m", "journal_full.py", "cost")
    assert (result["depth"], result["segments"]) == (5000, 125)
    assert result["operations"] < 7 * 5000
    assert result["erases"] < 5000
    assert result["heap"] < 4096  # of the 64-bit VM: about twice the chip's
