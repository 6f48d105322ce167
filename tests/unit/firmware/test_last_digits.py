"""The last value that counts and the first that does not: of what a modem tells of its cell, of a
4-20 mA loop, and of a gateway's devices.
"""

import sys
import types
from typing import Any

import pytest
from firmware_modules import fresh
from node import schema
from node.link import cell
from node.schema import gateway

# 27.007, 8.5: 0..31; TS 36.133, 9.1.4: 0..97; 9.1.7: 0..34. 99 and 255 are unknown.


@pytest.mark.parametrize(
    ("told", "dbm"), [(0, -113), (1, -111), (31, -51), (32, None), (99, None)]
)
def test_rssi(told: int, dbm: int | None) -> None:
    assert cell.signal_quality(f"+CSQ: {told},99") == dbm


@pytest.mark.parametrize(("told", "dbm"), [(0, -141), (97, -44), (98, None), (255, None)])
def test_rsrp(told: int, dbm: int | None) -> None:
    assert cell.extended_quality(f"+CESQ: 99,99,255,255,255,{told}") == (dbm, None)


@pytest.mark.parametrize(("told", "ddb"), [(0, -200), (34, -30), (35, None), (255, None)])
def test_rsrq(told: int, ddb: int | None) -> None:
    assert cell.extended_quality(f"+CESQ: 99,99,255,255,{told},255") == (None, ddb)


def test_a_line_that_is_cut_short_tells_nothing() -> None:
    assert cell.extended_quality("+CESQ: 99,99,255,255,24") == (None, None)
    assert cell.extended_quality("+CESQ: ,,,,,") == (None, None)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("9", 9),
        ("a", 10),
        ("F", 15),
        ("01385401", 0x01385401),
        ("fFfFfFfF", 0xFFFFFFFF),
        ("", None),
        ("000000000", None),
        ("/", None),  # the characters beside those that are digits
        (":", None),
        ("`", None),
        ("g", None),
        ("@", None),
        ("G", None),
        ("1 ", None),
    ],
)
def test_hexadecimal_digits(text: str, number: int | None) -> None:
    assert cell.hexadecimal(text) == number


# A loop of 0.6 V to 3 V, as 4-20 mA over 150 ohm, of 10,000 mm.


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Any:
    machine = types.ModuleType("machine")
    machine.readings = [600_000]  # type: ignore[attr-defined]

    class ADC:
        ATTN_11DB = 3

        def __init__(self, pin: int, atten: int) -> None:
            assert atten == self.ATTN_11DB
            self.asked = 0

        def read_uv(self) -> int:
            self.asked += 1
            found: list[int] = machine.readings
            return found[(self.asked - 1) % len(found)]

    machine.ADC, machine.Pin = ADC, lambda number: number  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "machine", machine)
    made = fresh("sense.analog").AnalogInput(4, 600_000, 3_000_000, 10_000)
    made.machine = machine
    return made


@pytest.mark.parametrize(
    ("uv", "value", "is_one"),
    [
        (600_000, 0, True),
        (3_000_000, 10_000, True),
        (1_800_000, 5_000, True),
        (540_000, -250, True),  # 3.6 mA
        (539_999, -250, False),
        (3_075_000, 10_313, True),  # 20.5 mA
        (3_075_001, 10_313, False),
        (0, -2_500, False),
        (600_119, 0, True),  # rounded: a millimetre is 240 uV
        (600_120, 1, True),
        (600_359, 1, True),
        (600_360, 2, True),
    ],
)
def test_a_loops_signal(loop: Any, uv: int, value: int, is_one: bool) -> None:
    loop.machine.readings = [uv]
    assert loop.measure() == (value, is_one)
    assert loop.read() == value


def test_a_reading_is_the_mean_of_eight(loop: Any) -> None:
    loop.machine.readings = [0, 0, 0, 0, 0, 0, 0, 8_000_007]
    assert loop.microvolts() == 1_000_000
    assert loop._adc.asked == 8


# Devices of a gateway: [number, profile, address], or with a baud rate


GOOD: list[Any] = [
    [1, "acrel-dtsd1352", "1"],
    [250, "a", "247"],
    [1, "=" + "0" * 399, "7"],
    [1, "a-9", "123456789012"],
    [1, "z", "ABCDEF01234567"],
    *([1, "a", "1", baud] for baud in gateway._BAUDS),
]
BAD: list[Any] = [
    "a",
    [1, "a"],
    [1, "a", "1", 9600, 0],
    [0, "a", "1"],
    [251, "a", "1"],
    [True, "a", "1"],
    ["1", "a", "1"],
    [1, "", "1"],
    [1, 5, "1"],
    [1, "a", 1],
    [1, "a" * 401, "1"],
    [1, "A", "1"],
    [1, "a b", "1"],
    [1, "a", ""],
    [1, "a", "0"],
    [1, "a", "248"],
    [1, "a", "A"],
    [1, "a", "0123"],
    [1, "a", "12345678901"],
    [1, "a", "1234567890123"],
    [1, "a", "123456789012345"],
    [1, "a", "12345678901g"],
    [1, "a", "1", 9601],
    [1, "a", "1", None],
]


@pytest.mark.parametrize("device", GOOD)
def test_a_device_that_a_gateway_takes(device: Any) -> None:
    gateway.check_devices([device])


@pytest.mark.parametrize("device", BAD)
def test_a_device_that_it_refuses(device: Any) -> None:
    with pytest.raises(schema.SchemaError):
        gateway.check_devices([device])


def test_two_devices_have_two_numbers() -> None:
    gateway.check_devices([[1, "a", "1"], [2, "a", "1"]])
    with pytest.raises(schema.SchemaError):
        gateway.check_devices([[1, "a", "1"], [1, "a", "2"]])
