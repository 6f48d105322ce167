"""A lamppost on the virtual board with a real fleet: a day of twilight, its meter and its air."""

import json
import time
from collections.abc import AsyncIterator
from datetime import date, timedelta, timezone
from pathlib import Path

import pytest
from astral import Observer
from astral.sun import dawn, dusk

from hil.virtual import lamp_scene
from hil.virtual.lamp_scene import LATITUDE, LONGITUDE, RATED_DW, Street
from hil.virtual.node import VirtualNode
from hil.virtual.scenes import HOUR, LAMP_PERIOD, SECOND
from hil.virtual.sun import elevation
from tests.integration.test_roles import START, Town

Q_ON, Q_DIM, Q_POWER, Q_ENERGY, Q_FACTOR = 3, 4, 21, 22, 23
OWN = (3, 4, 5, 20, 21, 22, 23, 24, 25, 26, 27, 28)
AIR = (29, 30, 31, 32, 33)
EVENT, FAILED, LEAKAGE, DOOR, SILENT = 1000, 40, 41, 43, 60


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    town = Town(tmp_path)
    await town.open()
    try:
        yield town
    finally:
        await town.close()


def of(node: VirtualNode) -> Street:
    assert isinstance(node.scene, Street)
    return node.scene


async def test_a_day_follows_twilight_and_all_of_it_is_stored(town: Town) -> None:
    scene = lamp_scene.lamppost(START + 300 * SECOND, 1)
    node = await town.node(scene, watch_s=900, report_s=21_600, report_records=48)
    await town.until(node, lambda: node.board.now_us > START + 24 * HOUR)
    scene.end(node.board.now_us)
    end = START + 23 * HOUR
    await town.until(node, lambda: any(at >= end for at, _, _ in town.stored(node, Q_DIM)))

    slots = {at // LAMP_PERIOD for at, _ in scene.given if at < end}
    for quantity in (*OWN, *AIR):
        times = [at // LAMP_PERIOD for at, _, _ in town.stored(node, quantity) if at < end]
        assert sorted(times) == sorted(slots), f"quantity {quantity}: each slot once"

    zone, place = timezone(timedelta(hours=8)), Observer(LATITUDE, LONGITUDE)
    went = [(at, bool(light)) for at, light in scene.switched if at > START + 600 * SECOND]
    went = [each for i, each in enumerate(went) if i == 0 or went[i - 1][1] != each[1]]
    (on, lit), (off, dark) = went[:2]
    assert (lit, dark) == (True, False)
    assert abs(on / SECOND - dusk(place, date(2026, 6, 1), tzinfo=zone).timestamp()) < 60
    assert abs(off / SECOND - dawn(place, date(2026, 6, 2), tzinfo=zone).timestamp()) < 60
    for at in (on, off):
        assert abs(elevation(at, LATITUDE, LONGITUDE) + 6) < 0.05
    assert len(scene.tale()) >= 2

    dims = {at: value for at, value, _ in town.stored(node, Q_DIM)}
    powers = {at: value for at, value, _ in town.stored(node, Q_POWER)}
    assert {0, 500, 1000} == set(dims.values())
    for at, power in powers.items():
        if dims[at] == 1000:
            assert power == RATED_DW
        elif not dims[at]:
            assert power == 0
    energy = {at: value for at, value, _ in town.stored(node, Q_ENERGY)}
    assert list(energy.values()) == sorted(energy.values())
    # From the first switching to dawn; 53 percent of the power at half light.
    night = zip(scene.switched, scene.switched[1:], strict=False)
    taken = sum(
        (end - at) // SECOND * RATED_DW * (60 + 940 * light // 1000) // 1000
        for (at, light), (end, _) in night
        if light and at < off
    )
    by_day = [value for at, value in energy.items() if off < at < off + 6 * HOUR]
    assert set(by_day) <= {taken // 360_000, taken // 360_000 + 1}
    assert {value for _, value, _ in town.stored(node, Q_FACTOR)} >= {980, 1000}
    for code in (FAILED, SILENT, LEAKAGE, DOOR, 42, 44, 46):
        assert not town.stored(node, EVENT + code)
    assert not node.board.resets["watchdog"]
    assert not node.board.life.crashes


async def test_what_befalls_it_is_told_at_once(town: Town) -> None:
    night = START + 5 * HOUR  # 21:00 in Guangzhou
    scene = lamp_scene.lamppost(night, 1, "dali")
    node = await town.node(scene, watch_s=60, leakage_trip=1, report_s=900)
    await town.until(node, lambda: len(town.stored(node, Q_DIM)) >= 2)
    assert scene.gear is not None
    assert scene.lamp is not None
    assert scene.gear.level == 254
    scene.gear.lamp_failed = scene.lamp.failed = True
    since = node.board.now_us
    await town.until(node, lambda: bool(town.stored(node, EVENT + FAILED)), 1)
    at, began, quality = town.stored(node, EVENT + FAILED)[0]
    assert (began, quality) == (1, 0)
    assert since + 120 * SECOND <= at <= since + 300 * SECOND
    scene.gear.lamp_failed = scene.lamp.failed = False
    scene.leak(50)
    await town.until(node, lambda: bool(town.stored(node, EVENT + LEAKAGE)), 1)
    assert scene.gear.level == 0, "tripped"


async def test_a_meter_that_dies_is_told_once_and_the_lamp_burns_on(town: Town) -> None:
    scene = lamp_scene.lamppost(START + 4 * HOUR, 1)
    node = await town.node(scene, report_s=900)
    await town.until(node, lambda: len(town.stored(node, Q_POWER)) >= 2)
    assert scene.bus is not None
    scene.bus.devices[0].faults.dead = True
    await town.until(node, lambda: node.board.now_us > START + 6 * HOUR + 1800 * SECOND)
    assert [value for _, value, _ in town.stored(node, EVENT + SILENT)] == [1]
    assert scene.lamp is not None
    assert scene.lamp.light == 1000
    last = max(at for at, _, _ in town.stored(node, Q_DIM))
    assert last > max(at for at, _, _ in town.stored(node, Q_POWER)), "no old value as a new one"
    assert last - max(at for at, _, _ in town.stored(node, AIR[0])) < LAMP_PERIOD
    scene.bus.devices[0].faults.dead = False
    await town.until(node, lambda: len(town.stored(node, EVENT + SILENT)) == 2, 4)


async def test_a_person_dims_it_for_a_while(town: Town) -> None:
    """By the fleet's own command, signed and settled. The fleet's clock is real, so the node's
    begins with it, and the command waits for its first contact.
    """
    scene = lamp_scene.lamppost(int(time.time()) * SECOND, 1)
    node = await town.node(scene)
    name = ("--node", node.node_id)
    asked = await town.fleet.command("command", "send", "dim", "300", "1800", *name, "--by", "Li")
    await town.until(node, lambda: bool(scene.lamp and scene.lamp.light == 300), 1)
    since = scene.switched[-1][0]
    await town.until(node, lambda: scene.switched[-1][0] > since, 1)
    assert abs(scene.switched[-1][0] - since - 1800 * SECOND) < 5 * SECOND
    assert scene.switched[-1][1] in (0, 500, 1000), "back to its plan"
    await town.until(node, lambda: node.board.now_us > since + HOUR)
    shown = json.loads(await town.fleet.command("command", "show", "1", "--json"))
    assert "executed" in json.dumps(shown), asked
