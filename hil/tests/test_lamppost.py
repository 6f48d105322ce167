"""A lamppost against the evening, its lamp, its supply and its door."""

from datetime import UTC, datetime

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import Stimulus
from hil.virtual.sun import elevation

WATCH_S = 10
METER = "000000000416"
TWILIGHT_DEG = -6.0  # civil: the sun's centre, without refraction
# A command is good for ten minutes, and a virtual node's clock may be some ahead of its fleet's:
# reports are more frequent than that.
WATCHFUL = {"watch_s": WATCH_S, "sample_s": 120, "report_s": 120, "report_records": 1}
DARK = {**WATCHFUL, "lamp_plan": ["00:00", 0]}
WELL = {"energy": 12, "voltage": 220, "current": 0.68, "active_power": 150, "power_factor": 0.98}
BROKEN = {**WELL, "current": 0, "active_power": 0}
NIGHT_MV, DAY_MV = 750, 1650  # at the divider, of 3000 mV at 400 V: 100 V, and 220 V
LEAK_MV = 1000  # 100 mA
CONTACT_S = 60.0

pytestmark = pytest.mark.needs("stimulus")


def duty(stimulus: Stimulus) -> float:
    """Of the dimming line, in permille."""
    return int(stimulus.do(read="dim")["duty"]) * 1000 / 65535


@pytest.mark.requirement("K-LMP-01", "K-LMP-02")
@pytest.mark.node("lamppost", config=DARK)
@pytest.mark.needs("virtual")  # a stimulus board sees whether the lamp is on, not how bright
def test_the_dim_level_at_the_output_is_the_one_asked_for(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    sent = fleet.send(node, "dim", 300, 3600)
    told = fleet.wait_command(sent, node, 3600)
    assert told["state"] == "executed"
    node.wait(WATCH_S)
    assert abs(duty(stimulus) - 300) < 5
    assert stimulus.read("relay") == 1


@pytest.mark.requirement("K-LMP-01")
@pytest.mark.node("lamppost", config=DARK)
def test_a_lamp_goes_on_by_command_and_off_by_its_plan(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    sent = fleet.send(node, "relay", 1, 120)
    assert fleet.wait_command(sent, node, 3600)["state"] == "executed"
    assert stimulus.read("relay") == 1
    node.until(lambda: stimulus.read("relay") == 0, 180)


@pytest.mark.requirement("K-LMP-01")
@pytest.mark.node("lamppost", config=WATCHFUL)
def test_a_lamp_goes_on_at_dusk(node: Node, stimulus: Stimulus) -> None:
    dusk_us = node.now_us + 1200 * 10**6
    node.configure({
        **WATCHFUL, "latitude_udeg": 0, "longitude_udeg": where_dusk_is(dusk_us),
        "lamp_plan": ["dusk", 1000, "dawn", 0],
    })  # fmt: skip
    node.to("online")
    assert stimulus.read("relay") == 0, datetime.fromtimestamp(node.now_us / 1e6, UTC)
    node.until(lambda: stimulus.read("relay") == 1, 2400)
    assert abs(node.now_us - dusk_us) < 90 * 10**6


def where_dusk_is(at_us: int) -> int:
    """Microdegrees east, on the equator: where the sun passes civil twilight then, downwards."""
    places = range(-180_000_000, 180_000_000, 10_000)
    evening = [
        east
        for east in places
        if elevation(at_us + 60 * 10**6, 0, east / 1e6) < elevation(at_us, 0, east / 1e6)
    ]
    return min(evening, key=lambda east: abs(elevation(at_us, 0, east / 1e6) - TWILIGHT_DEG))


@pytest.mark.requirement("K-LMP-05")
@pytest.mark.node("lamppost", config={**DARK, "meter": ["dlt645", METER], "lamp_dw": 1500})
def test_a_lamp_that_gives_no_light_is_told(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    stimulus.sub_device("dlt645", METER, WELL)
    sent = fleet.send(node, "relay", 1, 3600)
    fleet.wait_command(sent, node, 3600)
    fleet.wait_reading(node, "active_power", 1800, where=lambda one: one.value == 1500)
    stimulus.sub_values(METER, BROKEN)
    fleet.wait_alarm("lamp-failed", node, 120 + 2 * WATCH_S + CONTACT_S)  # fail_s
    stimulus.sub_values(METER, WELL)
    fleet.wait_over("lamp-failed", node, 1800)


@pytest.mark.requirement("K-LMP-04", "K-ALM-01")
@pytest.mark.node("lamppost", config=DARK)
def test_a_door_a_leak_and_water_are_told(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    for channel in ("door", "water"):
        stimulus.level(channel, 1)
    stimulus.voltage("leakage", LEAK_MV)
    for kind, hold_s in (("door", 0), ("leakage", 0), ("water", 10)):
        fleet.wait_alarm(kind, node, hold_s + 2 * WATCH_S + CONTACT_S)
    for channel in ("door", "water"):
        stimulus.level(channel, 0)
    stimulus.voltage("leakage", 0)
    for kind in ("door", "leakage", "water"):
        fleet.wait_over(kind, node, 1800)


@pytest.mark.requirement("K-LMP-03")
@pytest.mark.node("lamppost", config=DARK)
def test_a_supply_that_fails_is_told_at_once(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    stimulus.voltage("supply", NIGHT_MV)
    fleet.wait_alarm("power-lost", node, 2 * WATCH_S + CONTACT_S)
    stimulus.voltage("supply", DAY_MV)
    fleet.wait_over("power-lost", node, 1800)
