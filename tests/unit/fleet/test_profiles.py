"""Profiles of sub-devices: what ships is whole, and each mistake is named in one line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from node import schema

from fleet.cli.main import kapok
from fleet.flashing import profiles
from fleet.wire import cbor

MODBUS = """
name = "mine"
title = "A sensor"
kind = "environment-station"
protocol = "modbus"
baud = 9600
parity = "none"
timeout_ms = 300

[[values]]
quantity = "temperature"
function = 3
register = 1
type = "i16"
scale = "0.1"
offset = "-40"
"""
METER = """
name = "mine"
title = "A meter"
kind = "electricity-meter"
protocol = "dlt645"
baud = 2400
parity = "even"
timeout_ms = 800

[[values]]
quantity = "voltage"
item = "02010100"
bytes = 2
scale = "0.1"
"""


def problems(folder: Path, text: str) -> list[str]:
    path = folder / "mine.toml"
    path.write_text(text)
    return [str(problem) for problem in profiles.check(path)[1]]


def test_a_node_can_hold_every_profile_that_ships() -> None:
    for name in profiles.names():
        raw = profiles.compiled(profiles.load(name))
        assert len(raw) <= 128, f"{name}: polled, it lies in the heap"
        device = [1, "=" + raw.hex(), "1"]
        schema.check({
            "node": "0" * 10, "role": "gateway", "modem": "ec200", "pins": {}, "host": "h",
            "port": 1, "devices": [device],
        })  # fmt: skip


def test_scale_and_offset_become_integers(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MODBUS)
    found, wrong = profiles.check(path)
    assert found is not None
    assert not wrong
    assert cbor.decode(profiles.compiled(found)) == [
        0, 9600, 0, 1, 300, 3, [[3, 1, 1, [32, 0, 1, 1, 1, 1, -400]]]
    ]  # fmt: skip


def test_far_registers_are_asked_for_apart(tmp_path: Path) -> None:
    more = MODBUS
    for quantity, register in (("humidity", 17), ("noise", 40), ("pm10", 700)):
        more += f'\n[[values]]\nquantity = "{quantity}"\nfunction = 3\n'
        more += f'register = {register}\ntype = "u16"\n'
    path = tmp_path / "mine.toml"
    path.write_text(more)
    found, _ = profiles.check(path)
    assert found is not None
    reads = cbor.decode(profiles.compiled(found))[6]  # type: ignore[index]
    assert [read[:3] for read in reads] == [[3, 1, 17], [3, 40, 1], [3, 700, 1]]


@pytest.mark.parametrize(
    ("text", "old", "new", "why"),
    [
        (MODBUS, '"temperature"', '"level_of_fun"', "is no reading's quantity"),
        (MODBUS, '"temperature"', '"sub_device"', "is no reading's quantity"),
        (MODBUS, "function = 3", "function = 9", "values.0.function"),
        (MODBUS, "function = 3", "function = 1", "functions 1 and 2 read bits"),
        (MODBUS, "function = 3\n", "", "Modbus needs function and register"),
        (MODBUS, '"i16"', '"f64"', "type 'f64': one of"),
        (MODBUS, "register = 1", "register = 65536", "values.0.register"),
        (MODBUS, "baud = 9600", "baud = 9601", "is none of"),
        (MODBUS, '"0.1"', "0.1", "values.0.scale"),
        (MODBUS, '"0.1"', '"0"', "nothing is left"),
        (MODBUS, "timeout_ms = 300", "timeout_ms = 1", "timeout_ms"),
        (MODBUS, "baud = 9600", "baud = 9600\nmeter_type = 16", "CJ/T 188 needs it"),
        (MODBUS, 'name = "mine"', 'name = "yours"', "not the file's own"),
        (MODBUS, "baud = 9600", "baud = 9600\ncolour = 1", "unknown key"),
        (METER, '"02010100"', '"2010100"', "8 hexadecimal digits"),
        (METER, "bytes = 2", "register = 2", "are Modbus's"),
        (METER, "bytes = 2\n", "", "needs bytes"),
        (METER, '"dlt645"', '"cjt188"', "CJ/T 188 needs it"),
        (METER, '"dlt645"', '"mbus"', "protocol"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, old: str, new: str, why: str) -> None:
    assert problems(tmp_path, text) == []
    found = problems(tmp_path, text.replace(old, new, 1))
    assert any(why in one for one in found), found
    assert all("\n" not in one and "mine.toml" in one for one in found)


def test_a_quantity_stands_once_and_a_record_has_15(tmp_path: Path) -> None:
    block = MODBUS[MODBUS.index("[[values]]") :]
    assert any("each quantity once" in one for one in problems(tmp_path, MODBUS + block))
    assert any("at most 15" in one for one in problems(tmp_path, MODBUS + block * 15))


def test_the_commands(tmp_path: Path) -> None:
    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(kapok, list(words), prog_name="kapok")
        return result.exit_code, result.stdout

    shown = json.loads(run("hw", "profile", "dlt645", "--json")[1])
    assert shown["compiled"] == "=" + profiles.library()["profiles/dlt645"].hex()
    assert "energy, voltage" in run("hw", "profile", "dlt645")[1]
    assert run("hw", "profile", "nobody")[0] == 1
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "mine.toml").write_text(MODBUS.replace('"i16"', '"f64"'))
    code, said = run("hw", "check", str(folder / "mine.toml"))
    assert code == 1
    assert "values.0: type 'f64'" in said


@pytest.mark.parametrize(
    ("devices", "why"),
    [
        ([[1, "air"]], "each"),
        ([[1, "air", "1"], [1, "air", "2"]], "each once"),
        ([[0, "air", "1"]], "1..250"),
        ([[251, "air", "1"]], "1..250"),
        ([[True, "air", "1"]], "1..250"),
        ([[1, "../etc", "1"]], "no profile's name"),
        ([[1, "", "1"]], "texts"),
        ([[1, "air", 1]], "texts"),
        ([[1, "air", "0"]], "1..247"),
        ([[1, "air", "248"]], "1..247"),
        ([[1, "air", "1x"]], "digits"),
        ([[1, "dlt645", "0000000001"]], "12 or 14"),
        ([[1, "air", "1", 9601]], "baud"),
        ([[1, "=" + "0" * 500, "1"]], "too long"),
        (["air"], "each"),
        ([[1, "air", "1"]] * 25, "longer"),
    ],
)
def test_a_node_refuses_what_is_no_list_of_devices(devices: list[object], why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        schema.check({
            "node": "0" * 10, "role": "gateway", "modem": "ec200", "pins": {}, "host": "h",
            "port": 1, "devices": devices,
        })  # fmt: skip
    assert getattr(raised.value, "key", "") == "devices"
