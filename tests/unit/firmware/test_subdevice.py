"""Profiles and codecs together, against devices that make their frames by themselves."""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any

import bus_rig
import pytest
from bus_rig import Line
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from node.wire import cbor

from fleet.flashing import profiles
from fleet.wire import quantity as quantities
from hil.virtual import bus_scene
from hil.virtual.rs485 import meters
from hil.virtual.rs485.device import Device, Faults
from hil.virtual.rs485.meters import EVEN, NONE, ModbusDevice

CODES = {name: code for code, (name, _, _) in quantities.QUANTITIES.items()}
PLATE, GAS = "000000000161", "78330011223344"
FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Any:
    return bus_rig.subdevice(monkeypatch)


def compiled(name: str) -> Any:
    return cbor.decode(profiles.compiled(profiles.load(name)))


def read(node: Any, line: Line, name: str, address: str, **more: Any) -> dict[str, int]:
    found = asyncio.run(node.values(line, compiled(name), address, **more))
    return {quantities.QUANTITIES[code][0]: value for code, value in found}


def read_or_refuse(node: Any, line: Line, name: str, address: str) -> dict[str, int]:
    """What was read; nothing where it was refused as it should be."""
    from node.sense.bus import BusTimeout

    with contextlib.suppress(ValueError, BusTimeout):
        return read(node, line, name, address)
    return {}


def fixed(values: dict[str, int]) -> Any:
    return lambda _now: values


def test_a_power_meter_of_binary32(node: Any) -> None:
    line = Line([meters.power_meter(17, bus_scene.power, Faults())], 0)
    assert read(node, line, "sdm630", "17") == {
        "voltage": 2300, "voltage_b": 2300, "voltage_c": 2300, "current": 2173,
        "current_b": 2173, "current_c": 2173, "active_power": 15000, "power_factor": 950,
        "frequency": 5000, "energy": 0,
    }  # fmt: skip
    assert len(line.asked) == 2, "near registers are read together"


def test_an_environment_station_with_frost(node: Any) -> None:
    values = {"3:500": 655, "3:501": 65536 - 123, "3:502": 584, "3:503": 35, "3:504": 70}
    station = ModbusDevice(4800, NONE, fixed(values), address=3)
    assert read(node, Line([station]), "air", "3") == {
        "humidity": 655, "temperature": -123, "noise": 584, "pm2_5": 350, "pm10": 700,
    }  # fmt: skip


def test_an_electricity_meter(node: Any) -> None:
    line = Line([meters.electricity_meter(PLATE, bus_scene.meter, Faults())], 36_000_000)
    assert read(node, line, "dlt645", PLATE) == {
        "energy": 1, "voltage": 2310, "current": -1250, "active_power": -2750,
        "power_factor": 987,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "valve", "low"), [(0, 0, 0), (1, 1, 0), (3, 3, 0), (4, 0, 1), (5, 1, 1)]
)
def test_a_gas_meter_and_its_valve(node: Any, status: int, valve: int, low: int) -> None:
    values = fixed({"total": 843215, "status": status})
    line = Line([meters.gas_meter(GAS, values, Faults())])
    assert read(node, line, "cjt188-gas", GAS) == {
        "gas_volume": 8_432_150, "meter_valve": valve, "meter_battery_low": low,
    }  # fmt: skip


def test_a_water_meter_does_not_answer_for_a_gas_meter(node: Any) -> None:
    line = Line([meters.water_meter(GAS, fixed({"total": 1}), Faults())])
    assert read(node, line, "cjt188-water", GAS)["water_volume"] == 10
    with pytest.raises(Exception, match="no answer"):
        read(node, line, "cjt188-gas", GAS)


def test_what_a_meter_does_not_measure_is_left_out(node: Any) -> None:
    some = {"00010000": 26, "02010100": 2310}
    line = Line([meters.electricity_meter(PLATE, fixed(some), Faults())])
    assert read(node, line, "dlt645", PLATE) == {"energy": 26, "voltage": 2310}
    assert len(line.asked) == 5, "a refusal is no reason to ask again"


def test_a_dead_device_is_asked_so_often_and_no_more(node: Any) -> None:
    from node.sense.bus import BusTimeout

    line = Line([meters.electricity_meter(PLATE, bus_scene.meter, Faults(dead=True))])
    with pytest.raises(BusTimeout):
        read(node, line, "dlt645", PLATE)
    assert len(line.asked) == 3, "its other four data would be as silent"
    line.asked.clear()
    with pytest.raises(BusTimeout):
        read(node, line, "dlt645", PLATE, tries=1)
    assert len(line.asked) == 1


def test_lost_and_damaged_answers_are_asked_for_again(node: Any) -> None:
    faults = Faults(lose_every=5, spoil_every=7, noise_every=2)
    line = Line([meters.electricity_meter(PLATE, bus_scene.meter, faults)])
    for _ in range(50):
        assert len(read(node, line, "dlt645", PLATE)) == 5


CASES = [
    ("sdm630", "17", lambda: meters.power_meter(17, bus_scene.power, Faults())),
    ("dlt645", PLATE, lambda: meters.electricity_meter(PLATE, bus_scene.meter, Faults())),
    ("cjt188-gas", GAS, lambda: meters.gas_meter(GAS, fixed({"total": 5}), Faults())),
]


@pytest.mark.parametrize(("name", "address", "make"), CASES)
@FIXTURE
@given(st.data())
def test_one_wrong_byte_never_makes_a_wrong_value(
    node: Any, name: str, address: str, make: Any, data: st.DataObject
) -> None:
    device: Device = make()
    line = Line([device], 36_000_000)
    right = read(node, line, name, address)

    def spoil(frame: bytes) -> bytes:
        if not frame:
            return frame
        place = data.draw(st.integers(0, len(frame) - 1))
        flip = data.draw(st.integers(1, 255))
        return frame[:place] + bytes((frame[place] ^ flip,)) + frame[place + 1 :]

    line.alter = spoil
    assert read_or_refuse(node, line, name, address).items() <= right.items()


def test_sabotage_without_its_check_a_frame_gives_a_wrong_value(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from node.wire import modbus

    monkeypatch.setattr(modbus, "crc", lambda data: 0)
    device = meters.power_meter(17, bus_scene.power, Faults())
    line = Line([device])
    line.alter = lambda frame: frame[:3] + bytes((frame[3] ^ 1,)) + frame[4:-2] + bytes(2)
    monkeypatch.setattr(meters, "_crc", lambda data: bytes(2))
    assert read(node, line, "sdm630", "17")["voltage"] != 2300


@FIXTURE
@given(st.binary(max_size=80))
@example(b"")
def test_whatever_a_device_says_is_a_value_or_an_error(node: Any, noise: bytes) -> None:
    line = Line([])
    line.alter = lambda _frame: noise
    for name, address, _ in CASES:
        read_or_refuse(node, line, name, address)


def test_profiles_lie_in_the_slot_or_in_the_configuration(
    node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "profiles").mkdir()
    raw = profiles.library()["profiles/air"]
    (tmp_path / "profiles" / "air").write_bytes(raw)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert node.profile("air") == node.profile("=" + raw.hex()) == compiled("air")
    for wrong in ("nobody", "=00", "=zz", "=", "=" + cbor.encode([9] * 7).hex()):
        with pytest.raises(Exception, match="profile"):
            node.profile(wrong)


def test_a_search_tells_meters_apart_that_answer_at_once(node: Any) -> None:
    from node.sense.search import Search

    plates = ["000000000161", "000000000261", "000000001261", "000000000007"]
    line = Line([meters.electricity_meter(p, bus_scene.meter, Faults()) for p in plates])
    search = Search([1, 2400, 1, 247])
    records: list[Any] = []
    while not search.done:
        records += asyncio.run(search.go(line, 1))
    addresses = [dict(r)[CODES["found_address"]] for r in records]
    assert sorted(addresses) == sorted([-1, *map(int, plates)])
    assert addresses[-1] == -1, "the last record says that it is over"


def test_a_search_finds_modbus_devices_by_any_answer(node: Any) -> None:
    from node.sense.search import Search

    line = Line([
        ModbusDevice(9600, NONE, fixed({"4:0": 1}), address=7),  # it refuses function 3
        ModbusDevice(9600, NONE, fixed({"3:0": 1}), address=9),
        ModbusDevice(9600, EVEN, fixed({"3:0": 1}), address=10),
    ])  # fmt: skip
    search = Search([0, 9600, 5, 12])
    found = asyncio.run(search.go(line, 1))
    assert [dict(r)[CODES["found_address"]] for r in found] == [7, 9, -1]


@pytest.mark.parametrize(
    "arguments", [[], [3, 9600], [0, 300], [0, 9600, 0, 5], [0, 9600, 9, 5], [0, 9600, 1]]
)
def test_a_search_has_bounds(node: Any, arguments: list[int]) -> None:
    from node.sense.search import Search

    with pytest.raises(ValueError, match=r"no such|protocol"):
        Search(arguments)


@pytest.fixture(autouse=True)
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr(time, "ticks_ms", lambda: 0, raising=False)
    monkeypatch.setattr(time, "ticks_diff", lambda a, b: a - b, raising=False)
