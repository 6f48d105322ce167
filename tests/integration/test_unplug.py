"""A small campaign of boards unplugged while they are flashed and provisioned."""

import os
import re
import subprocess
import sys

NUMBERS = re.compile(r"(\w+) (\d+)")


def campaign(*words: str) -> tuple[int, dict[str, int], str]:
    """Exit code, the numbers of the last line, and all that was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.unplug", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    lines = done.stdout.strip().splitlines() or [""]
    found = {name: int(number) for name, number in NUMBERS.findall(lines[-1])}
    assert "points" in found, done.stdout
    return done.returncode, found, done.stdout


def test_boards_that_were_unplugged_and_a_command_that_was_killed_end_good() -> None:
    code, found, said = campaign("--points", "4", "--boards", "2", "--seed", "5")
    assert (found["good"], found["identities"], found["found"]) == (4, 4, 0), said
    assert (found["points"], found["kills"], found["keys"], code) == (4, 1, 10, 0), said
    assert "used boards" in said


def test_sabotage_confirmed_before_it_is_written_and_written_to_a_file_too() -> None:
    code, found, said = campaign(
        "--points", "1", "--boards", "1", "--step", "write", "--sabotage", "confirm-first,careless"
    )
    assert (found["points"], found["good"], code) == (1, 0, 1), said
    assert "--again" in said  # the fleet believes that the boards have an identity
    assert found["found"] > 0, said
