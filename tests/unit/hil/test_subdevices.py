"""Sub-devices of a bench by profile and quantity: what the node's own codecs read of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.flashing import profiles
from fleet.wire import cjt188, dlt645, modbus
from hil import subdevices
from hil.virtual.bench.stimulus_error import StimulusError
from hil.virtual.bench.subdevices import SubDevices
from hil.virtual.rs485.line import BusTwin


class Line:
    """The devices on a line without a line: whoever is asked answers."""

    def __init__(self) -> None:
        self.bus = BusTwin([])
        self.devices = SubDevices(self.bus, lambda _: {"02030000": 1234})

    def do(self, bus: str, **more: Any) -> dict[str, Any]:
        return self.devices.answer({"bus": bus, **more})

    def ask(self, frame: bytes) -> bytes:
        heard = [found for device in self.bus.devices if (found := device.hear(frame, 0))]
        return b"".join(heard).lstrip(b"\xfe")

    def single(self, address: int, register: int) -> int:
        answer = self.ask(modbus.read_request(address, 4, register, 2))
        return modbus.single(modbus.read_reply(answer, address, 4, 2), 0, 1000)

    def item(self, address: str, item: int, signed: bool = False) -> int:
        answer = self.ask(dlt645.read_request(address, item))
        return dlt645.bcd(dlt645.read_reply(answer, address, item)[0], signed)


def test_a_modbus_meter_is_added_changed_and_taken_away() -> None:
    line = Line()
    line.do("add", profile="sdm630", address=17, values={"voltage": 231.5, "active_power": 4321})
    assert (line.single(17, 0), line.single(17, 52)) == (231_500, 4_321_000)
    line.do("set", address="17", values={"voltage": "229.1"})
    assert (line.single(17, 0), line.single(17, 52)) == (229_100, 4_321_000)
    line.do("set", address=17, dead=True)
    assert line.ask(modbus.read_request(17, 4, 0, 2)) == b""
    line.do("remove", address=17)
    assert line.bus.devices == []
    with pytest.raises(StimulusError, match="there is no sub-device 17: none"):
        line.do("set", address=17)


def test_a_dlt645_and_a_cjt188_meter_give_what_they_were_told() -> None:
    line = Line()
    line.do("add", profile="dlt645", address=161, values={"energy": 1234.56, "current": -1.25})
    assert line.item("000000000161", 0x00010000) == 123_456
    assert line.item("000000000161", 0x02020100, signed=True) == -1250
    line.do("add", profile="dlt645", address=416, values="lamp")
    assert line.item("000000000416", 0x02030000, signed=True) == 1234
    line.do("add", profile="cjt188-gas", address="78330011223344",
            values={"gas_volume": 12.34, "meter_valve": 1, "meter_battery_low": 1})  # fmt: skip
    request = cjt188.read_request(0x30, "78330011223344", 0x901F, 7)
    data = cjt188.read_reply(line.ask(request), 0x30, "78330011223344", 0x901F, 7)
    total, status = cjt188.metered(data)
    assert cjt188.amount(total, cjt188.VOLUME, -3) == 12_340
    assert (cjt188.valve_of(status), status & 4) == (1, 4)
    told = line.do("list")["devices"]
    assert told["161"] == {"profile": "dlt645", "asked": 2, "answered": 2, "good": 2}


@given(st.integers(-300, 300), st.integers(0, 1000))
def test_registers_of_an_environment_station_carry_sign_and_scale(tenths: int, dust: int) -> None:
    values = {"temperature": f"{tenths / 10:.1f}", "pm2_5": dust}
    raw = subdevices.raw("air", values)
    assert raw == {"3:501": tenths & 0xFFFF, "3:503": dust}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"profile": "abacus", "address": 1}, "hw/profiles has no 'abacus'"),
        ({"profile": "sdm630", "address": 248}, "1 to 247"),
        ({"profile": "dlt645", "address": "12ab"}, "12 digits at most"),
        ({"profile": "sdm630", "address": 1, "values": {"smell": 1}}, "sdm630 has no 'smell'"),
        ({"profile": "sdm630", "address": 1, "values": {"voltage": "much"}}, "a number"),
        ({"profile": "air", "address": 1, "values": {"humidity": 7000}}, "no u16"),
        ({"profile": "dlt645", "address": 1, "values": {"energy": -1}}, "hold it not"),
        ({"profile": "cjt188-heat", "address": 1, "values": {"heat": 1}}, "is not played"),
        ({"profile": "sdm630", "address": 1, "values": "lamp"}, "lamp's circuit"),
        ({"profile": "sdm630", "address": 1, "lose_every": -1}, "lose_every cannot be -1"),
    ],
)
def test_what_no_device_can_be_is_refused_and_hangs_there_not(
    asked: dict[str, Any], told: str
) -> None:
    line = Line()
    with pytest.raises(StimulusError, match=told):
        line.do("add", **asked)
    assert line.bus.devices == []


def test_every_profile_that_is_shipped_can_be_played_but_the_heat_meter() -> None:
    for name in profiles.names():
        profile = profiles.load(name)
        values = {value.quantity: 1 for value in profile.values}
        if name == "cjt188-heat":
            continue
        line = Line()
        line.do("add", profile=name, address=5, values=values)
        assert len(line.bus.devices) == 1
