import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from node import schema

from fleet.cli.main import kapok
from fleet.flashing import gpio, hardware, hardware_check
from fleet.flashing.hardware import HardwareError
from fleet.paths import hw_dir

NAMED = {
    "gas-meter": "esp32s3-bc660k",
    "drainage": "esp32c3-bc95",
    "lamppost": "esp32-ec200",
    "devkit": "devkit",
}


@pytest.fixture
def hw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder, to make mistakes in."""
    folder = tmp_path / "hw"
    shutil.copytree(hw_dir(), folder)
    for module in (hardware, hardware_check):
        monkeypatch.setattr(module, "hw_dir", lambda: folder)
    return folder


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("path", hardware_check.every_file(), ids=lambda path: path.name)
def test_every_file_that_ships_is_without_fault(path: Path) -> None:
    assert hardware_check.check(path) == []


@pytest.mark.parametrize(("name", "board"), NAMED.items())
def test_a_node_takes_the_configuration_of_its_type(name: str, board: str) -> None:
    node = hardware.load_node_type(name)
    on = hardware.load_board(node.board)
    assert node.board == board
    values = {
        "node": "0123456789", "role": node.role, "modem": on.modem or node.modem,
        "host": "fleet.example", "port": 8883, "pins": on.pins, **node.config,
    }  # fmt: skip
    assert schema.check(values)["report_s"] == node.config["report_s"]


def test_all_names_are_known() -> None:
    assert set(NAMED) <= set(hardware.node_types())
    assert set(NAMED.values()) | {"esp32s3-bc95"} <= set(hardware.boards())
    assert hardware.load_board("esp32-ec200").uarts["rs485"].de == 33
    assert hardware.load_board("esp32-ec200").uarts["modem"].tx == 17
    assert hardware.load_board("devkit").flash_bytes == 8 << 20


BOARD_MISTAKES = {
    "unknown key": ('title = "', 'colour = "red"\ntitle = "', "colour: unknown key"),
    "missing key": ('chip = "esp32c3"\n', "", "chip: the key is missing"),
    "wrong type": ("tx = 6", 'tx = "6"', "pins.tx: Input should be a valid integer"),
    "no such chip": ('chip = "esp32c3"', 'chip = "esp8266"', "chip: Input should be 'esp32'"),
    "another name": ('name = "esp32c3-bc95"', 'name = "other"', "name: it is not the file's own"),
    "no TOML": ("[pins]", "[pins", "no TOML that can be read"),
    "no such pin": ("tx = 6", "tx = 33", "pins.tx: esp32c3 has no GPIO 33: it has 0..21"),
    "flash pin": ("tx = 6", "tx = 12", "pins.tx: GPIO 12 is taken on esp32c3: the flash"),
    "console pin": ("tx = 6", "tx = 21", "pins.tx: GPIO 21 is taken on esp32c3: UART0"),
    "no wake": ("wake = 4", "wake = 8", "cannot end deep sleep: take one of 0..5"),
    "no ADC": ("level = 1", "level = 5", "is not on ADC1: take one of 0..4"),
    "pin used twice": ("rx = 7", "rx = 6", "pins.rx: GPIO 6 is used by pins.tx already"),
    "unknown pin name": (
        "tx = 6",
        "tx = 6\nhorn = 0",
        "pins.horn: the firmware knows no such pin",
    ),
    "no modem file": ('modem = "bc95"', 'modem = "zx80"', "modem: hw/modems has no 'zx80'"),
    "flash size": ("4194304", "3000000", "flash_bytes: 3000000 is none of 4194304"),
    "no table": ("4MiB.csv", "2MiB.csv", "cannot read the partition table"),
    "table too large": ("4MiB.csv", "8MiB.csv", "ends behind the flash"),
    "no modem UART": ("rx = 7\n", "", "pins.rx: the key is missing"),
    "rail of no pin": ('switch = "cut"', 'switch = "nut"', "rails.modem.switch: [pins] has no"),
    "third UART": (
        "[rails.modem]",
        "[uarts.rs485]\nunit = 2\ntx = 0\nrx = 18\n[rails.modem]",
        "uarts.rs485.unit: esp32c3 has UART 0 and 1 only",
    ),
    "UART taken": (
        "[rails.modem]",
        "[uarts.rs485]\nunit = 1\ntx = 0\nrx = 18\n[rails.modem]",
        "uarts.rs485.unit: UART 1 is the modem's already",
    ),
}


@pytest.mark.parametrize("mistake", BOARD_MISTAKES)
def test_a_mistake_in_a_board_is_one_line_with_file_and_key(hw: Path, mistake: str) -> None:
    old, new, text = BOARD_MISTAKES[mistake]
    change(hw / "boards" / "esp32c3-bc95.toml", old, new)
    with pytest.raises(HardwareError) as caught:
        hardware.load_board("esp32c3-bc95")
    assert text in str(caught.value)
    assert str(caught.value).startswith("hw/boards/esp32c3-bc95.toml: ")
    assert "\n" not in str(caught.value)


def test_an_input_only_pin_does_not_drive(hw: Path) -> None:
    change(hw / "boards" / "esp32-ec200.toml", "relay = 25", "relay = 36")
    with pytest.raises(HardwareError, match="GPIO 36 of esp32 is an input only"):
        hardware.load_board("esp32-ec200")


@pytest.mark.parametrize(("pin", "text"), [(9, "strapping pin"), (18, "USB console")])
def test_a_doubtful_pin_is_a_warning_only(hw: Path, pin: int, text: str) -> None:
    path = hw / "boards" / "esp32c3-bc95.toml"
    change(path, "reset = 10", f"reset = {pin}")
    (problem,) = hardware_check.check(path)
    assert not problem.fatal
    assert text in problem.text
    assert hardware.load_board("esp32c3-bc95").pins["reset"] == pin


NODE_MISTAKES = {
    "unknown key": ('title = "', 'colour = "red"\ntitle = "', "colour: unknown key"),
    "no such board": ("esp32c3-bc95", "nothing", "board: hw/boards has no 'nothing'"),
    "board without the pin": ('role = "drainage"', 'role = "lamppost"', "needs a pin 'relay'"),
    "no such role": ('role = "drainage"', 'role = "cook"', "role: Input should be 'gas-meter'"),
    "sensor on no pin": ('pin = "wake"', 'pin = "pulse"', "sensors.1.pin: esp32c3-bc95 has no"),
    "out of bounds": ("sample_s = 900", "sample_s = -1", "config: the node would refuse it: sam"),
    "unknown setting": ("sample_s = 900", "sample = 1", "refuse it: unknown key 'sample'"),
    "not its to say": ("sample_s = 900", 'host = "h"', "config.host: is not for the node type"),
    "calibration": ("most = 20000", "most = 99999999", "calibration.full_scale: at 99999999"),
    "another modem": ('role = "drainage"', 'role = "drainage"\nmodem = "ec200"', "has a bc95 on"),
}


@pytest.mark.parametrize("mistake", NODE_MISTAKES)
def test_a_mistake_in_a_node_type_is_one_line_with_file_and_key(hw: Path, mistake: str) -> None:
    old, new, text = NODE_MISTAKES[mistake]
    change(hw / "nodes" / "drainage.toml", old, new)
    with pytest.raises(HardwareError) as caught:
        hardware.load_node_type("drainage")
    assert text in str(caught.value)
    assert str(caught.value).startswith("hw/nodes/drainage.toml: ")
    assert "\n" not in str(caught.value)


def test_a_node_type_needs_a_modem_from_somewhere(hw: Path) -> None:
    change(hw / "nodes" / "devkit.toml", 'modem = "bc660k"', "")
    with pytest.raises(HardwareError, match="modem: the key is missing"):
        hardware.load_node_type("devkit")


TABLE_MISTAKES = {
    "no rescue": (
        "rescue,   data, littlefs, 0x348000, 0x24000\n",
        "",
        "rescue: the firmware needs",
    ),
    "small romfs": ("0x310000, 0x38000", "0x310000, 0x8000", "romfs: has 32768 bytes, needs"),
    "uneven slots": ("0x190000, 0x180000", "0x190000, 0x170000", "ota_1: is not as large"),
    "wrong type": (
        "rescue,   data, littlefs,",
        "rescue,   data, fat,",
        "rescue: is of type 1 0x81",
    ),
    "overlap": ("0x36C000, 0x94000", "0x350000, 0x94000", "overlaps the row before"),
    "behind the flash": ("0x36C000, 0x94000", "0x36C000, 0xA4000", "ends behind the flash"),
}


@pytest.mark.parametrize("mistake", TABLE_MISTAKES)
def test_a_mistake_in_a_table_is_one_line(hw: Path, mistake: str) -> None:
    old, new, text = TABLE_MISTAKES[mistake]
    path = hw / "partitions" / "4MiB.csv"
    change(path, old, new)
    problems = hardware_check.check(path)
    assert any(text in str(problem) for problem in problems), problems
    assert all(str(problem).startswith("hw/partitions/4MiB.csv") for problem in problems)
    with pytest.raises(HardwareError, match=r"4MiB\.csv"):
        hardware.load_board("esp32c3-bc95")


@pytest.mark.parametrize("name", ["nope", "../boards/devkit", "", "a/b", "x" * 99, "devkit\n"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(HardwareError, match="known are devkit"):
        hardware.load_board(name)


def test_the_facts_of_the_chips_do_not_contradict_each_other() -> None:
    for chip, facts in gpio.GPIO.items():
        every = set(facts.pins)
        assert {*facts.wake, *facts.adc, *facts.inputs_only} <= every, chip
        assert not set(facts.taken) & set(facts.doubtful), chip
        assert {*facts.taken, *facts.doubtful} <= every, chip


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(kapok, list(arguments))
    return result.exit_code, result.output


def test_check_tells_ok_and_not(hw: Path) -> None:
    code, out = run("hw", "check")
    assert code == 0
    assert "hw/boards/devkit.toml: ok" in out
    path = hw / "boards" / "esp32c3-bc95.toml"
    change(path, "tx = 6", "tx = 12")
    code, out = run("hw", "check", str(path), "--json")
    assert code == 1
    (found,) = json.loads(out)
    assert found["ok"] is False
    assert found["problems"][0]["key"] == "pins.tx"


def test_show_prints_pins_and_the_map_of_the_flash() -> None:
    code, out = run("hw", "show", "esp32-ec200")
    assert code == 0
    assert "\x1b" not in out
    for text in ("UART2 rs485 de", "0x36c000", "rescue", "####"):
        assert text in out
    code, out = run("hw", "show", "devkit", "--json")
    flash = json.loads(out)["flash"]
    assert [row["offset"] for row in flash] == sorted(row["offset"] for row in flash)
    assert sum(row["size"] for row in flash) == 8 << 20
