"""`kapok demo` as a person runs it, from the checkout and from an installed wheel."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAST = re.compile(r"sensed (\d+) stored (\d+) lost (\d+) duplicated (\d+)")


def last_line(output: str) -> tuple[int, ...]:
    line = output.strip().splitlines()[-1]
    found = LAST.fullmatch(line)
    assert found, f"the last line is {line!r}"
    return tuple(int(n) for n in found.groups())


def test_ctrl_c_ends_it_with_the_summary(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "fleet", "demo"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    lines: list[str] = []
    began = time.monotonic()
    for line in process.stdout:
        lines.append(line)
        if line.startswith("sensed/stored/receipted"):
            break
        assert time.monotonic() - began < 120
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert last_line("".join(lines) + rest)[2:] == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["--drainage-trace", "missing.csv"], 2, "missing.csv"),
        (["--drainage-trace", "bad.csv"], 1, "bad.csv:2"),
        (["--drainage-trace", "empty.csv"], 1, "no values"),
        (["--for", "0"], 2, "--for"),
    ],
)
def test_bad_input_is_one_clear_line(
    tmp_path: Path, arguments: list[str], code: int, what: str
) -> None:
    (tmp_path / "bad.csv").write_text("time,value\n2022-04-01T00:00:00Z,deep\n")
    (tmp_path / "empty.csv").write_text("time,value\n")
    out = subprocess.run(
        [sys.executable, "-m", "fleet", "demo", *arguments],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert out.returncode == code
    assert what in out.stderr
    assert "Traceback" not in out.stderr


def test_an_installed_wheel_needs_no_checkout_ends_by_itself_and_loses_nothing(
    tmp_path: Path,
) -> None:
    wheels, site, empty = (tmp_path / name for name in ("wheels", "site", "empty"))
    empty.mkdir()
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, ROOT],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = wheels.glob("kapok-*.whl")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-deps", "--no-compile", "--target", site, wheel],
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    script = (
        "import fleet, hil, runpy, sys; from pathlib import Path; "
        f"assert Path(fleet.__file__).is_relative_to({str(site)!r}), fleet.__file__; "
        "sys.argv = ['kapok', 'demo', '--for', '6']; "
        "runpy.run_module('fleet', run_name='__main__')"
    )
    out = subprocess.run(
        [sys.executable, "-c", script],
        cwd=empty, env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert out.returncode == 0, out.stderr
    sensed, stored, lost, duplicated = last_line(out.stdout)
    assert sensed == stored > 30
    assert (lost, duplicated) == (0, 0)
    assert list(empty.iterdir()) == [], "the demo leaves files behind"
    # Both gas meters report by datagrams, one over each NB-IoT modem.
    assert re.findall(r"enrolling gas-meter \w+: (\S+), coap", out.stdout) == [
        "BC660K-GL",
        "BC95-G",
    ]
    reported = re.findall(
        r"^ *\w{10} gas-meter +coap .*?(\d+) +(\d+) +\d+ +\d+ *$", out.stdout, re.M
    )
    assert len(reported) == 2
    assert all(sensed == stored != "0" for sensed, stored in reported)
