"""A gateway on the virtual board: real frames on a half-duplex line, and what goes wrong there.

No fleet is needed: what the node recorded lies in its journal.
"""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.paths import firmware_dir
from fleet.wire import cbor
from hil.virtual import bus_scene
from hil.virtual.bus_scene import ADDRESSES, GAS, METER, PERIOD, POWER
from hil.virtual.node import Credentials, VirtualNode, mac_of
from hil.virtual.rs485.device import Device
from hil.virtual.scenes import SECOND, Scene

START = 1_780_300_800 * SECOND  # 2026-06-01 08:00:00 UTC
SILENT, BUS_FAULT = 1060, 1061
NOBODY = Credentials(b"k", b"c", b"r", cbor.encode([b"kid", bytes(16)]))
Make = Callable[..., VirtualNode]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    nodes = []

    def new(scene: Scene, sources: Path | None = None, **config: Any) -> VirtualNode:
        node = VirtualNode(tmp_path / "n", mac_of(str(tmp_path)), scene, sources=sources)
        node.provision(NOBODY, "localhost", 9, **{"report_records": 1000, **config})
        nodes.append(node)
        return node

    yield new
    for node in nodes:
        await node.board.stop()


def scene(**faults: dict[str, Any]) -> Scene:
    """The demo's, with faults of its devices by name."""
    made = bus_scene.gateway(START + 60 * SECOND, 1)
    for name, device in zip(("power", "meter", "gas"), devices(made), strict=True):
        for key, value in faults.get(name, {}).items():
            setattr(device.faults, key, value)
    return made


def devices(of: Scene) -> list[Device]:
    assert of.bus is not None
    return of.bus.devices


def records(node: VirtualNode, number: int) -> list[dict[int, int]]:
    """Values of the records of one sub-device, oldest first; 0: of the gateway itself."""
    found = []
    for _, body in node.journal().records:
        flat: Any = cbor.decode(body)
        values = dict(zip(flat[2::2], flat[3::2], strict=True))
        if values.pop(99, 0) == number:
            found.append(values)
    return found


async def until(node: VirtualNode, what: Callable[[], bool]) -> None:
    """Run by fifths of a slot until `what` holds."""
    for _ in range(100):
        if what():
            return
        await node.board.run_for(PERIOD // 5)
    pytest.fail(node.board.console_tail[-300:])


async def test_the_living_are_read_in_each_slot_and_the_dead_one_is_told_of_once(
    make: Make,
) -> None:
    node = make(scene())
    await node.board.run_for(8 * PERIOD - 120 * SECOND)
    for number, count in bus_scene.READINGS.items():
        assert [len(values) for values in records(node, number)] == [count] * 8
    assert records(node, METER)[0][24] == 2310
    assert records(node, GAS) == [{SILENT: 1}]
    assert records(node, 0) == []
    bus = node.scene.bus
    assert bus is not None
    assert not {"crowded", "cut", "drowned", "undriven", "collisions"} & set(bus.counts)


async def test_a_dead_device_is_asked_ever_more_rarely(make: Make) -> None:
    node = make(scene(), backoff_most_s=4 * PERIOD // SECOND)
    dead = devices(node.scene)[2]
    await node.board.run_until(lambda: dead.asked == 9)  # three polls, three times each
    await node.board.run_for(4 * PERIOD)
    before = dead.asked
    await node.board.run_for(12 * PERIOD)
    assert dead.asked - before == 3, "once each hour, and once only"


async def test_a_device_that_comes_back_is_read_again_and_told_of(make: Make) -> None:
    node = make(scene(), backoff_most_s=PERIOD // SECOND)
    gas = devices(node.scene)[2]
    await until(node, lambda: bool(records(node, GAS)))
    gas.faults.dead = False
    await node.board.run_for(4 * PERIOD)
    silent, *rest = records(node, GAS)
    assert silent == {SILENT: 1}
    assert [values for values in rest if SILENT in values] == [{SILENT: 0}]
    assert {1: 10, 41: 0, 54: 0} in rest


async def test_a_cut_line_is_one_fault_and_not_one_of_each_device(make: Make) -> None:
    gone = {"dead": True}
    node = make(scene(power=gone, meter=gone), backoff_most_s=PERIOD // SECOND)
    await until(node, lambda: bool(records(node, 0)))
    assert records(node, 0) == [{BUS_FAULT: 1}]
    for device in devices(node.scene)[:2]:
        device.faults.dead = False
    await node.board.run_for(6 * PERIOD)
    assert records(node, 0) == [{BUS_FAULT: 1}, {BUS_FAULT: 0}]
    assert records(node, GAS) == [{SILENT: 1}], "the line is well: so the meter is not"
    assert not [v for n in (POWER, METER) for v in records(node, n) if SILENT in v]


async def test_a_restarted_gateway_neither_repeats_a_slot_nor_tells_twice(make: Make) -> None:
    node = make(scene())
    await until(node, lambda: bool(records(node, GAS)))
    reads = len(records(node, POWER))
    node.board.reset()
    await node.board.run_for(60 * SECOND)
    assert len(records(node, POWER)) == reads
    await node.board.run_for(8 * PERIOD)
    assert len(records(node, POWER)) == reads + 8


async def test_another_baud_rate_is_heard_by_nobody_unless_the_configuration_says_so(
    make: Make,
) -> None:
    made = scene()
    devices(made)[0].baud = 19200
    wired = [[POWER, "sdm630", "17", 19200], [METER, "dlt645", ADDRESSES[METER]]]
    node = make(made, devices=wired)
    await until(node, lambda: len(records(node, POWER)) == 2)
    assert len(records(node, METER)) == 2


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        ("held", "self._de.value(0)\n", "pass\n", "drowned"),
        ("let go at once", "await asyncio.sleep_ms(self._ms(len(request)))", "pass", "cut"),
        ("never driven", "self._de.value(1)", "pass", "undriven"),
    ],
)
async def test_sabotage_of_the_driver_s_enable_pin_makes_every_device_silent(
    make: Make, tmp_path: Path, name: str, old: str, new: str, fault: str
) -> None:
    sources = tmp_path / "firmware"
    shutil.copytree(firmware_dir(), sources)
    path = sources / "node" / "sense" / "bus.py"
    text = path.read_text()
    assert old in text
    if fault == "cut":
        new = "self._de.value(0)"
    path.write_text(text.replace(old, new))
    node = make(scene(), sources)
    bus = node.scene.bus
    assert bus is not None
    await node.board.run_until(lambda: bus.counts[fault] >= 3)
    await node.board.run_for(3 * PERIOD)
    assert not records(node, POWER)
    assert records(node, 0) == [{BUS_FAULT: 1}]
