"""`awake_s`, which the watchdog ends, must leave a contact its time beside what a role takes."""

from typing import Any

import pytest
from node import schema

VALVE = {"valve_open": 1, "valve_close": 2, "valve_opened": 3, "valve_closed": 4}
MOTION = {"scl": 5, "sda": 6}
BUS = {"bus_tx": 7, "bus_rx": 8, "scl": 5, "sda": 6}
DEVICES = [[1, "air", "7"]]
GASES = ["h2s"]


def values(role: str, pins: dict[str, int], **more: Any) -> dict[str, Any]:
    return {
        "node": "1gntj14d2p", "role": role, "modem": "bc660k", "host": "h", "port": 1,
        "pins": {"pulse": 9, **pins}, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("role", "pins", "more", "least"),
    [
        ("gas-meter", VALVE, {"valve_drive_s": 60}, 3 + 180 + 30),
        ("gas-meter", VALVE | MOTION, {"valve_drive_s": 15, "quake_s": 20}, 3 + 45 + 20 + 30),
        ("gas-meter", MOTION, {"quake_s": 20}, 50),
        ("gas-meter", MOTION, {"quake_s": 20, "quake_mg": 0}, 30),
        ("gas-meter", {}, {"valve_drive_s": 60}, 30),
        ("drainage", {"h2s": 4}, {"fitted": GASES, "gas_warm_s": 120}, 10 + 1 + 120 + 30),
        ("drainage", {"h2s": 4}, {"fitted": GASES, "gas_s": 0, "warm_ms": 20_000}, 60),
        ("drainage", {}, {"gas_warm_s": 120}, 10 + 1 + 30),
        ("gateway", BUS, {"devices": DEVICES}, 59),
        ("gateway", BUS, {}, 30),
        ("lamppost", BUS, {"devices": DEVICES}, 59),
        ("lamppost", BUS, {}, 30),
    ],
)
def test_the_least_time_awake(
    role: str, pins: dict[str, int], more: dict[str, Any], least: int
) -> None:
    assert schema.check(values(role, pins, awake_s=least, **more))["awake_s"] == least
    with pytest.raises(schema.SchemaError) as e:
        schema.check(values(role, pins, awake_s=least - 1, **more))
    assert (e.value.key, e.value.code) == ("awake_s", schema.BELOW)


@pytest.mark.parametrize(
    ("role", "pins", "more"),
    [
        ("gas-meter", VALVE | MOTION, {"valve_drive_s": 60, "quake_s": 20}),
        ("drainage", {"h2s": 4}, {"fitted": GASES, "gas_warm_s": 120, "warm_ms": 20_000}),
    ],
)
def test_the_default_is_enough_for_the_longest(
    role: str, pins: dict[str, int], more: dict[str, Any]
) -> None:
    assert schema.check(values(role, pins, **more))["awake_s"] == 300
