"""`kapok flash`, `ports` and `doctor` as a technician runs them, on a bench of virtual boards."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_rig import Bench, bench

from fleet.flashing import marks

NODE = ("--node", "gas-meter")


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KAPOK_BENCH", str(tmp_path / "b"))


def _start(*words: str, folder: Path) -> "subprocess.Popen[str]":
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(
        [sys.executable, "-m", "fleet", *words],
        cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _run(*words: str, folder: Path) -> tuple[int, str, str]:
    process = _start(*words, folder=folder)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in out + err
    return process.returncode, out, err


def _flash(folder: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    code, out, err = _run("flash", *NODE, "--json", *words, folder=folder)
    assert out, err
    return code, json.loads(out)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "b", "--boards", "1", "--also", "esp32c3-bc95,no-en-capacitor") as there:
        yield there


def test_the_first_boot_is_from_exactly_what_was_written(two: Bench, tmp_path: Path) -> None:
    code, (board,) = _flash(tmp_path, "--ports", "virtual:1")
    assert code == 0
    assert board["result"] == "flashed"
    test = board["selftest"]
    assert (test["mac"], test["vfs"], test["provisioned"]) == (board["mac"], True, False)

    # The node has made its journal meanwhile, or not: the second run must not lose one.
    code, (again,) = _flash(tmp_path, "--ports", "virtual:1", "--no-watch")
    assert (code, again["selftest"]) == (0, None)
    assert set(again["written"]) <= {"vfs"}

    code, out, _ = _run("doctor", "--port", "virtual:1", "--json", folder=tmp_path)
    findings = {one["what"]: one for one in json.loads(out)["ports"]["virtual:1"]}
    assert code == 0
    assert board["node_id"] in findings["loader"]["text"]


def test_the_doctor_names_a_strap_that_comes_too_late(two: Bench, tmp_path: Path) -> None:
    code, out, _ = _run("doctor", "--port", "virtual:2", folder=tmp_path)
    assert code == 1
    assert "NO  loader: it resets, but boots its application (boot mode 0x" in out
    assert "capacitor at EN" in out

    two.do("2", "fault", set={"no_en_capacitor": False, "silent": True})
    code, out, _ = _run("doctor", "--port", "virtual:2", folder=tmp_path)
    assert "NO  loader: nothing comes from it" in out

    device = os.open(two.port("2"), os.O_RDWR | os.O_NOCTTY)
    try:
        _, out, _ = _run("doctor", "--port", "virtual:2", folder=tmp_path)
        assert f"(process {os.getpid()}) has it open" in out
    finally:
        os.close(device)

    code, out, _ = _run("doctor", "--port", "virtual:7", folder=tmp_path)
    assert (code, "no port is 'virtual:7'" in out) == (1, True)


def test_ports_are_listed_by_their_names(two: Bench, tmp_path: Path) -> None:
    _, out, _ = _run("ports", "--json", folder=tmp_path)
    named = {port["name"]: port for port in json.loads(out)}
    assert named["virtual:2"]["device"] == two.port("2")
    assert named["virtual:2"]["model"] == "esp32c3-bc95"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--ports", "virtual:9", *NODE), 1, "no port is 'virtual:9'"),
        (("--ports", "virtual:1", "--node", "toaster"), 1, "hw/nodes has no 'toaster'"),
        (("--ports", "virtual:1", *NODE, "--runtime", __file__), 1, "no ESP image"),
        (("--ports", "virtual:1"), 2, "--node"),
    ],
)
def test_wrong_orders_are_one_line(
    two: Bench, tmp_path: Path, words: tuple[str, ...], code: int, text: str
) -> None:
    found, out, err = _run("flash", *words, folder=tmp_path)
    assert (found, out) == (code, "")
    assert text in err
    assert err.count("\n") == 1


def test_ctrl_c_marks_the_board_a_second_run_is_refused_and_resume_goes_on(tmp_path: Path) -> None:
    with bench(tmp_path / "b", "--boards", "1", pace="real"):
        running = _start("flash", "--ports", "all", *NODE, "--no-watch", "--json", folder=tmp_path)
        assert running.stderr is not None
        for line in running.stderr:
            if re.search(r": ota_0 2\d %", line):
                break
        code, (second,) = _flash(tmp_path, "--ports", "all")
        assert code == 1
        assert f"another kapok works on this port (process {running.pid})" in second["error"]

        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
        assert running.returncode == 1
        assert "Traceback" not in err
        (ended,) = json.loads(out)
        assert ended["result"] == "interrupted"
        assert ended["error"].endswith("interrupted at region ota_0")
        mark = marks.get(bytes.fromhex(ended["mac"]))
        assert mark is not None
        assert (mark.state, mark.region) == (marks.INTERRUPTED, "ota_0")

    with bench(tmp_path / "b"):  # the same board, as fast as it can
        code, (resumed,) = _flash(tmp_path, "--ports", "all", "--resume")
        assert (code, resumed["result"]) == (0, "flashed")
        assert resumed["selftest"]["vfs"] is True
        assert "bootloader" not in resumed["written"]
        code, (skipped,) = _flash(tmp_path, "--ports", "all", "--resume")
        assert (code, skipped["result"]) == (0, "skipped")
