"""A mute modem on the virtual board: the ladder by its pins, kept over deep sleep, reported."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fleet.flashing import partitions
from fleet.flashing.hardware import load_board
from fleet.paths import firmware_dir, hw_dir
from fleet.releases import slots
from hil.virtual import firmware
from hil.virtual.board import FLASH_SIZE, VirtualBoard
from hil.virtual.modem import ModemTwin
from hil.virtual.node import MODEM_PINS, VirtualNode
from hil.virtual.scenes import HOUR, SECOND, Scene
from hil.virtual.stimulus import Pulse
from tests.integration.test_roles import START, Town, of

MAC = bytes.fromhex("a4cf12345678")
BOARDS = ["esp32s3-bc660k", "esp32-ec200"]
BOOT = """
sys.path[:] = [mount("a"), ".frozen"]
import asyncio, json, machine
from node.errors import NodeError
from node.link.session import Session
from node.store.rtcstate import RtcState

CONFIG = %r
state = RtcState(machine.RTC().memory)
state.load()

async def main():
    session = Session(CONFIG, state)
    try:
        await asyncio.wait_for_ms(session.open(), CONFIG["cap_s"] * 1000)
        print("OPEN")
    except asyncio.TimeoutError:
        print("CUT SHORT")
    except NodeError as e:
        print("FAILED", e.code)
    finally:
        await session.close()

asyncio.run(main())
print("STATE", json.dumps([state.get("rung", 0), state.get("rungs", [])]))
state.save()
machine.deepsleep(60_000)
"""


def hang(twin: ModemTwin, cure: str, pulses: list[str]) -> None:
    """Make `twin` mute until its pin `cure` was pulsed; `pulses` keeps the pins that were."""
    pin = twin.pin
    twin.mute = True

    def pulsed(name: str, level: int) -> None:
        pin(name, level)
        if not level:
            pulses.append(name)
            twin.mute = twin.mute and name != cure

    twin.pin = pulsed  # type: ignore[method-assign]


async def states(folder: Path, name: str, cure: str, cap_s: int) -> tuple[list[str], list[str]]:
    """What a reference board printed until its contact opened, and the pins that were pulsed."""
    description = load_board(name)
    pins = description.pins
    assert description.modem is not None
    twin = ModemTwin(description.modem, seed=5, attach_delay_s=(1, 2))
    pulses: list[str] = []
    hang(twin, cure, pulses)
    config = {"modem": description.modem, "pins": pins, "apn": "", "attach_s": 60}
    boot = BOOT % ({**config, "cap_s": cap_s},)
    files = slots.build(firmware_dir(), slots.cache_dir() / "node", script=boot)
    supervisor = files["/boot.py"].decode().removesuffix("run()\n")
    files["/boot.py"] = (supervisor + boot).encode()
    table = partitions.load(hw_dir() / "partitions" / "4MiB.csv", FLASH_SIZE)
    firmware.make_flash(folder / "flash.bin", table, FLASH_SIZE, files, description.chip)
    lines: list[str] = []
    done = asyncio.Event()

    def hear(line: str) -> None:
        if done.is_set():
            return  # the VM may still say that its board has gone
        lines.append(line.strip())
        if line.startswith("STATE") and "OPEN" in lines:
            done.set()

    board = VirtualBoard(
        folder,
        MAC,
        chip=description.chip,
        twins={1: twin},
        wires={pins[name]: (1, name) for name in MODEM_PINS if name in pins},
        console=hear,
    )
    try:
        await board.run_until(done)
    finally:
        await board.stop()
    assert not board.life.crashes, lines
    return lines, pulses


@pytest.mark.parametrize(("name", "cure"), [(BOARDS[0], "cut"), (BOARDS[1], "pwrkey")])
async def test_the_whole_ladder_in_one_wake(tmp_path: Path, name: str, cure: str) -> None:
    lines, pulses = await states(tmp_path, name, cure, 280)
    rungs = {"cut": [1, 1, 1, 0, 1], "pwrkey": [1, 1, 1, 1, 0]}[cure]
    assert lines == ["OPEN", f"STATE {json.dumps([0, rungs])}"]
    assert [each for each in pulses if each not in ("psm_exit", "dtr")] == ["reset", cure]


async def test_wakes_too_short_for_the_ladder_climb_it_together(tmp_path: Path) -> None:
    lines, pulses = await states(tmp_path, BOARDS[1], "cut", 25)
    stood = [json.loads(line[6:]) for line in lines if line.startswith("STATE")]
    # The first wake ends behind the reset pin, the second behind the power key, the third is well.
    assert stood == [[2, [1, 1, 1, 0, 0]], [3, [2, 1, 1, 1, 0]], [0, [3, 1, 1, 1, 1]]]
    assert "cut" in pulses


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    town = Town(tmp_path)
    await town.open()
    try:
        yield town
    finally:
        await town.close()


def meter() -> Scene:
    pulse = (START + 400 * SECOND, Pulse(4, 500_000))
    return of("gas-meter", BOARDS[0], [pulse], report_s=3600)


def status(town: Town, node: VirtualNode) -> dict[str, int]:
    """The newest status in the fleet's registry."""
    path = town.fleet.data / "kapok.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        found = connection.execute("SELECT status FROM terminals WHERE id = ?", (node.node_id,))
        return dict(json.loads(found.fetchone()[0]))


async def test_the_rungs_that_were_used_are_in_the_fleets_registry(town: Town) -> None:
    node = await town.node(meter())
    hang(node.twin, "reset", [])
    await town.until(node, lambda: bool(town.stored(node, 1)))
    told = status(town, node)
    assert [told.get(key) for key in ("8", "9", "10", "11", "12")] == [1, 1, 1, None, None]


async def test_a_sim_that_the_network_refuses_is_tried_only_every_six_hours(town: Town) -> None:
    node = await town.node(meter())
    node.twin.network.refuse(8)
    await town.until(node, lambda: node.board.now_us > START + 5 * HOUR)
    # The first try of a cold node comes before it has any time, the next waits.
    assert sum("AT+CEREG=3" in line for line in node.twin.log) <= 2
    node.twin.network.refuse(None)
    await town.until(node, lambda: bool(town.stored(node, 1)), 10)
    told = status(town, node)
    assert (told["6"], told["7"]) == (15, 8)
    assert told["4"] <= 2
