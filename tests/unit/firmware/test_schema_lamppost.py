"""A lamppost's configuration: what no lamp, meter or place can be is refused, by its key."""

from typing import Any

import pytest
from node import schema

from fleet.flashing.hardware import load_board

PINS = load_board("esp32-ec200").node_pins
CONFIG = {
    "node": "1gntj14d2p", "role": "lamppost", "modem": "ec200", "host": "fleet.test",
    "port": 8883, "pins": PINS,
}  # fmt: skip
PLAN = ["dusk-10", 1000, "23:00", 500, "dawn+5", 0]


def test_a_lamppost_needs_no_key_of_its_own() -> None:
    values = schema.check(CONFIG)
    assert (values["latitude_udeg"], values["longitude_udeg"]) == (23_130_000, 113_260_000)
    assert values["lamp_plan"][0] == "dusk"
    assert values["meter"] == values["devices"] == []


@pytest.mark.parametrize(
    "more",
    [{"lamp_plan": PLAN}, {"lamp_plan": []}, {"meter": ["dlt645", "000000000001"]},
     {"meter": ["sdm120", "1", 19200]}, {"devices": [[1, "air", "7"], [2, "dlt645", "0" * 12]]},
     {"lamp_driver": "dali", "dali_address": 63}, {"dali_address": 255},
     {"latitude_udeg": -90_000_000, "longitude_udeg": 180_000_000}],
)  # fmt: skip
def test_what_a_lamppost_may_be(more: dict[str, Any]) -> None:
    values = schema.check({**CONFIG, **more})
    for key, value in more.items():
        assert values[key] == value


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [("lamp_plan", ["dusk"], schema.INVALID), ("lamp_plan", ["noon", 1], schema.INVALID),
     ("lamp_plan", ["dusk", 0] * 25, schema.ABOVE), ("lamp_plan", "dusk", schema.TYPE),
     ("lamp_driver", "dmx", schema.INVALID), ("lamp_driver", "triac", schema.ABOVE),
     ("dali_address", 64, schema.INVALID), ("dali_address", 256, schema.ABOVE),
     ("meter", ["dlt645"], schema.INVALID), ("meter", ["dlt645", 1], schema.INVALID),
     ("meter", ["dlt645", "000000000001", 1], schema.INVALID),
     ("meter", ["dlt645", "000000000001", 2400, 1], schema.ABOVE),
     ("devices", [[1, "air", "0"]], schema.INVALID), ("sample_s", 59, schema.BELOW),
     ("latitude_udeg", 90_000_001, schema.ABOVE), ("longitude_udeg", 1.5, schema.TYPE),
     ("leakage_trip", 2, schema.ABOVE), ("leakage_trip", True, schema.TYPE)],
)  # fmt: skip
def test_what_it_may_not_be_is_refused_by_its_key(key: str, value: Any, code: int) -> None:
    with pytest.raises(ValueError, match=r".") as e:
        schema.check({**CONFIG, key: value})
    assert (getattr(e.value, "key", ""), getattr(e.value, "code", 0)) == (key, code)


@pytest.mark.parametrize(
    ("lacks", "more"),
    [("scl", {"lamp_driver": "dali"}), ("bus_tx", {"meter": ["dlt645", "000000000001"]}),
     ("bus_tx", {"devices": [[1, "air", "7"]]})],
)  # fmt: skip
def test_a_board_must_have_what_a_key_needs(lacks: str, more: dict[str, Any]) -> None:
    pins = {name: pin for name, pin in PINS.items() if name != lacks}
    with pytest.raises(ValueError, match="this board has no"):
        schema.check({**CONFIG, "pins": pins, **more})
