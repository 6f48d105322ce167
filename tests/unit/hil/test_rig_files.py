"""Rigs' files are validated without hardware; the run-book's wiring is that of hw/boards."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from labgrid import Target
from rig_parts import part

from fleet.flashing.hardware import boards, load_board
from hil import check, share, wiring
from hil.inventory import FEATURES, load
from hil.resources import StimulusBoard
from hil.virtual.bench.post import Post
from hil.virtual.board import VirtualBoard
from hil.virtual.fittings import Fittings

ROOT = Path(__file__).parents[3]
RIGS = sorted((ROOT / "hil" / "rigs").glob("*.yaml"))
PLACE = """
imports: [hil.strategy]
targets:
  a: &a
    features: [power]
    resources:
      NodePort: {board: esp32s3-bc660k, nodes: [gas-meter], serial: "1"}
      USBPowerPort: {match: {ID_PATH: "x"}, index: 1}
    drivers:
      NodePortDriver: {}
      USBPowerDriver: {}
      NodeConsoleDriver: {}
      PromptDriver: {}
      BoardFlashDriver: {}
      NodeStrategy: {}
"""


def _wrong(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "rig.yaml"
    file.write_text(text)
    return [str(problem) for problem in check.problems(load(file))]


@pytest.mark.parametrize("rig", RIGS, ids=lambda path: path.stem)
def test_shipped_rigs_are_valid_on_a_machine_without_them(rig: Path) -> None:
    assert check.problems(load(rig)) == []


def test_there_are_a_virtual_rig_and_a_bench() -> None:
    assert [rig.stem for rig in RIGS] == ["bench-example", "virtual"]


def test_a_place_as_it_should_be_has_no_problem(tmp_path: Path) -> None:
    assert _wrong(tmp_path, PLACE) == []


PLUGS = """      StimulusBoard: {port: /dev/s}
      ModemTwinLine: {port: /dev/s, family: bc660k}
      USBPowerPort"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("NodePortDriver", "NodePotDriver", "a: unknown driver class NodePotDriver"),
        ("      USBPowerDriver: {}\n", "", "PowerProtocol"),
        ("      NodeStrategy: {}\n", "", "a: no driver is a strategy: add NodeStrategy"),
        ("[power]", "[power, stimulus]", "a: feature stimulus, and no driver that is a Stimulus"),
        ("[power]", "[]", "a: warning: it can do power, and tests that need it"),
        ("[power]", "[power, virtual]", "a: feature virtual, and no VirtualBoard, which alone"),
        ("[power]", "[power, valve]", "a: feature valve, and no driver that is a Stimulus"),
        ("[power]", "[power, stimulous]", "a: unknown feature stimulous: power, stimulus, "),
        ('serial: "1"', 'seral: "1"', "unsupported attribute 'seral'"),
        ('serial: "1"', "serial: 1", "'serial' must be <class 'str'>"),
        (', serial: "1"', "", "a: its NodePort says neither `port` nor `serial`"),
        (
            "      USBPowerPort",
            "      StimulusBoard: {port: /dev/s, channels: {puls: {pin: 10}}}\n      USBPowerPort",
            "a: channel puls: a esp32s3-bc660k has no such pin",
        ),
        (
            "      USBPowerPort",
            PLUGS,
            "a: port /dev/s is that of a too",
        ),
        ("index: 1", "index: one", "'index' must be <class 'int'>"),
        ("esp32s3-bc660k", "esp32s3-bc770k", "hw/boards has no 'esp32s3-bc770k'"),
        ("[gas-meter]", "[gas-metre]", "hw/nodes has no 'gas-metre'"),
        ("[gas-meter]", "[lamppost]", "a lamppost is on a esp32-ec200, and here is a esp32s3-bc6"),
    ],
)
def test_what_is_wrong_with_a_place_is_said(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert old in PLACE
    assert any(problem in each for each in _wrong(tmp_path, PLACE.replace(old, new)))


def test_a_bench_with_a_stimulus_board_has_no_valve_all_the_same(tmp_path: Path) -> None:
    bench = (ROOT / "hil/rigs/bench-example.yaml").read_text()
    wrong = _wrong(tmp_path, bench.replace("current-meter]", "current-meter, valve]", 1))
    assert wrong == ["meter-1: feature valve, and no VirtualBoard, which alone has it"]


def test_the_run_book_lists_the_features_that_there_are() -> None:
    page = (ROOT / "docs" / "hil.md").read_text(encoding="utf-8")
    table = page.partition("| feature | what must stand there |\n|---|---|\n")[2].partition(
        "\n\n"
    )[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == list(FEATURES)


def test_a_port_of_two_places_is_said(tmp_path: Path) -> None:
    wrong = _wrong(tmp_path, PLACE + "  b: *a\n")
    assert [each.split(" is that")[1] for each in wrong] == [" of a too", " of a too"]


def test_the_command_refuses_in_lines_and_tells_as_json(tmp_path: Path) -> None:
    file = tmp_path / "rig.yaml"
    file.write_text(PLACE)
    command = [sys.executable, "-m", "hil.check", str(file)]
    done = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, check=True)
    assert json.loads(done.stdout)[0]["places"][0]["tags"]["node_gas_meter"] == "yes"
    file.write_text(PLACE.replace("gas-meter", "gas-metre"))
    bad = subprocess.run(
        [*command, str(tmp_path / "none")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert bad.returncode == 1
    assert "a: hw/nodes has no 'gas-metre'" in bad.stdout
    assert bad.stderr.splitlines() == [
        f"hil.check: {tmp_path}/none: there is no such file: name a rig, as in hil/rigs"
    ]


def test_what_an_exporter_cannot_send_goes_as_text_and_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "rig.yaml"
    wires = {"pulse": {"pin": 10, "second": 11}}
    more = f"      StimulusBoard: {{port: /dev/x, channels: {json.dumps(wires)}}}\n    drivers:\n"
    file.write_text(PLACE.replace("    drivers:\n", more))
    told = yaml.safe_load(share.exporter_file(load(file)))["a"]
    assert told["NodePort"] == {
        "cls": "NodePort", "board": "esp32s3-bc660k", "nodes": '["gas-meter"]', "serial": "1",
    }  # fmt: skip
    assert told["USBPowerPort"]["match"] == {"ID_PATH": "x"}  # labgrid's exporter looks there
    del told["StimulusBoard"]["cls"]
    board = part(StimulusBoard, Target("a"), **told["StimulusBoard"])
    assert board.channels == wires


@pytest.mark.parametrize("name", boards())
def test_each_pin_of_each_board_has_a_far_end_of_its_own(name: str) -> None:
    board = load_board(name)
    wires = wiring.wires(board)
    assert {wire.pin: wire.gpio for wire in wires} == board.node_pins
    there = [wire.stimulus for wire in wires if wire.stimulus is not None]
    own = [wiring.METER["scl"], wiring.METER["sda"], *(wiring.BUS[pin] for pin in ("tx", "rx"))]
    assert len(set(there)) == len(there)
    assert {wiring.METER["scl"], wiring.METER["sda"]}.isdisjoint(there)
    assert len(set(own)) == len(own)
    # ESP32-S3 datasheet, table 2-1: straps, USB, flash and PSRAM, UART0.
    assert not {0, 3, 45, 46, 19, 20, *range(26, 38), 43, 44} & set(there)


@pytest.mark.parametrize("name", boards())
async def test_a_bench_rests_as_the_virtual_rig_does(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    virtual = VirtualBoard(tmp_path, bytes(6), chip=board.chip)
    Fittings(virtual, board.node_pins)
    if {"relay", "dim"} <= board.node_pins.keys():
        Post(virtual, board.node_pins)
    for pin, wire in wiring.channels(board).items():
        if "pwm" in wire:
            begins = virtual.pins.microvolts.get(board.node_pins[pin], 0) // 1000
            assert wire.get("mv", 0) == begins, pin
        if "pin" in wire:
            assert wire.get("idle", 0) == virtual.pins.level(board.node_pins[pin]), pin


def test_a_pin_that_nobody_knows_is_refused() -> None:
    board = load_board("devkit")
    with pytest.raises(wiring.WiringRefused, match="devkit: pin 'siren' has no far end"):
        wiring.wires(board._replace(pins=board.pins | {"siren": 40}))


def test_the_run_books_wiring_is_that_of_the_boards() -> None:
    page = (ROOT / "docs" / "hil.md").read_text(encoding="utf-8")
    for name in boards():
        assert f"<!-- wiring {name} -->" in page
    assert wiring.written(page) == page, "python -m hil.wiring --write docs/hil.md"


def test_the_example_bench_is_wired_as_the_run_book_says() -> None:
    targets = load(ROOT / "hil" / "rigs" / "bench-example.yaml").environment.config.get_targets()
    wired = 0
    for target in targets.values():
        stimulus = target["resources"].get("StimulusBoard")
        if stimulus is None:
            continue
        wanted = wiring.resource(load_board(target["resources"]["NodePort"]["board"]))
        for key in ("channels", "bus", "meter"):
            if key in stimulus or key == "channels":
                assert stimulus[key] == wanted[key]
        wired += 1
    assert wired == 3
