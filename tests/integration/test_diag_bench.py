"""`kapok diag`, `kapok prompt` and `kapok journal` on a board of the bench."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench_rig import Bench, bench, factory
from esp_rig import tool

from fleet.flashing import nvs
from fleet.flashing.hardware import load_board
from fleet.flashing.journal_export import load
from fleet.wire import cbor, uplink
from hil.virtual.node import NAMESPACE

BOARD = "esp32s3-bc660k"
NVS = 0x9000
SCENARIOS = Path(__file__).parents[2] / "hil" / "scenarios"


def kapok(stand: Bench, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "fleet", *words], cwd=folder, text=True, capture_output=True,
        env={**os.environ, "KAPOK_BENCH": str(stand.folder), "XDG_STATE_HOME": str(folder)},
        timeout=120, check=False,
    )  # fmt: skip


def flash(stand: Bench, folder: Path, **config: Any) -> None:
    """The whole image; with a configuration, one for a fleet that is not there."""
    image = factory(folder, BOARD)
    if config:
        board = load_board(BOARD)
        node_id = stand.facts["boards"][0]["node_id"]
        values = {
            "node": node_id, "role": "gas-meter", "modem": board.modem, "apn": "",
            "host": "127.0.0.1", "port": 1, "pins": board.pins, "door": "coap", **config,
        }  # fmt: skip
        oscore = cbor.encode([b"kid", bytes(16)])
        held = nvs.encode({NAMESPACE: {"cfg": cbor.encode(values), "oscore": oscore}}, 0x4000)
        with image.open("r+b") as file:
            file.seek(NVS)
            file.write(held)
    wrote = tool("esptool", folder, "--port", stand.port("1"), "write-flash", "0x0", image)
    assert wrote.returncode == 0, wrote.stdout


def test_a_card_that_is_bound_to_another_terminal_is_said_first(tmp_path: Path) -> None:
    scenario = SCENARIOS / "sim-locked.toml"
    with bench(tmp_path / "b", "--boards", 1, "--rate", 20, "--scenario", scenario) as stand:
        flash(stand, tmp_path, report_s=3600)
        told = kapok(stand, tmp_path, "diag", "--port", "virtual:1", "--lang", "en")
        assert told.returncode == 1, told.stderr
        assert told.stdout, told.stderr
        first = told.stdout.splitlines()[0]
        (file,) = tmp_path.glob("diag-*.json")
        saved = json.loads(file.read_text())
        iccid = saved["radio"]["identity"]["iccid"]
        assert first.startswith("✗ SIM is locked to another IMEI")
        assert f"unbind ICCID {iccid}" in first
        assert saved["verdicts"][0]["code"] == "sim.locked"
        assert saved["radio"]["attach"]["cause"] == 6
        zh = kapok(stand, tmp_path, "diag", "--port", "virtual:1", "--no-network", "--lang", "zh")
        assert (zh.returncode, zh.stdout.splitlines()[0]) == (0, "✓ 节点正常。")
        assert "last reset        hard" in zh.stdout, "by the visit before, which let it run on"


def test_a_board_that_is_not_provisioned_and_one_without_firmware(tmp_path: Path) -> None:
    with bench(tmp_path / "b", "--boards", 1) as stand:
        blank = kapok(stand, tmp_path, "diag", "--port", "virtual:1")
        assert blank.returncode == 1
        assert blank.stderr.strip().splitlines()[-1].startswith("kapok: virtual:1: no prompt")
        flash(stand, tmp_path)
        bare = kapok(stand, tmp_path, "diag", "--port", "virtual:1", "--lang", "en")
        assert bare.returncode == 1
        assert "kapok provision" in bare.stdout.splitlines()[0]


def test_a_sleeping_node_is_held_at_its_prompt_and_its_journal_copied(tmp_path: Path) -> None:
    record = (
        "from node.store.journal import Journal\n"
        "j = Journal('/journal')\n"
        f"b = {uplink.encode_body(1795411856, 0, [(1, 10)])!r}\n"
        "print([j.append(b), j.append(b)])\n"
    )
    with bench(tmp_path / "b", "--boards", 1) as stand:
        flash(stand, tmp_path, report_s=3600)
        held = kapok(stand, tmp_path, "prompt", "--port", "virtual:1")
        assert (
            held.stdout == f"virtual:1 is at its prompt: mpremote connect {stand.port('1')} repl\n"
        )
        wrote = tool("mpremote", tmp_path, "connect", stand.port("1"), "exec", record)
        assert wrote.stdout.strip() == "[1, 2]", wrote.stdout
        told = kapok(
            stand, tmp_path, "journal", "export", "--port", "virtual:1", "--out", "j", "--json"
        )
        copied = json.loads(told.stdout)
        assert copied["records"] == 2
        assert load(tmp_path / copied["file"]).node_id == stand.facts["boards"][0]["node_id"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--port", "/dev/no-such-port"), "no port is '/dev/no-such-port'"),
        (("--port", "virtual:7"), "no virtual bench runs"),
    ],
)
def test_a_port_that_is_not_there_is_one_line(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    told = kapok(Bench(tmp_path, {}), tmp_path, "diag", *words)
    assert told.returncode == 1
    assert said in told.stderr
    assert len(told.stderr.splitlines()) == 1
