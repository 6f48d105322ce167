"""A board of the bench from blank flash to a node that reports: real esptool, real mpremote, and
a real fleet.
"""

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_rig import Bench, bench
from esp_rig import open_port, tool

from fleet.flashing import nvs
from fleet.flashing.hardware import load_board
from fleet.paths import firmware_dir
from fleet.releases import slots
from fleet.wire import cbor
from hil.fleet_process import FleetProcess
from hil.provisioning import enrol
from hil.virtual import firmware
from hil.virtual.node import NAMESPACE

BOARD = "esp32s3-bc660k"
RATE = 3600  # an hour passes in a second
WAIT_S = 60.0


def factory(folder: Path) -> Path:
    """A whole flash image with the application of this tree, as the technician's tool makes it."""
    board = load_board(BOARD)
    files = slots.build(firmware_dir(), slots.cache_dir() / "node")
    path = folder / "image.bin"
    firmware.make_flash(path, board.table, board.flash_bytes, files, board.chip)
    return path


def flash(stand: Bench, folder: Path, *parts: object) -> None:
    wrote = tool(
        "esptool", folder, "--port", stand.port("1"), "-b", 921_600, "write-flash", *parts
    )
    assert wrote.returncode == 0, wrote.stdout


def mpremote(stand: Bench, folder: Path, *arguments: object) -> str:
    ran = tool("mpremote", folder, "connect", stand.port("1"), *arguments)
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_from_blank_to_the_prompt_and_to_the_loader_and_back(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    with bench(folder, "--boards", 1, "--board", BOARD) as stand:
        with open_port(stand.port("1")) as port:
            stand.do("1", "reset")
            assert b"invalid header: 0xffffffff" in port.read_until(b"0xffffffff")
        flash(stand, tmp_path, "0x0", factory(tmp_path))
        with open_port(stand.port("1")) as port:
            stand.do("1", "reset")
            seen = port.read_until(b"kapok-selftest ") + port.readline()
        assert b"SPI_FAST_FLASH_BOOT" in seen
        told = json.loads(seen.rpartition(b"kapok-selftest ")[2])
        assert told["mac"] == stand.facts["boards"][0]["mac"]
        assert told["provisioned"] is False
        assert mpremote(stand, tmp_path, "exec", "print(6*7)").strip() == "42"
        assert "a.romfs" in mpremote(stand, tmp_path, "fs", "ls")
        note = tmp_path / "note.txt"
        note.write_text("by hand\n")
        mpremote(stand, tmp_path, "fs", "cp", note, ":note.txt")
        verified = tool("esptool", tmp_path, "--port", stand.port("1"), "flash-id")
        assert verified.returncode == 0, verified.stdout
        assert mpremote(stand, tmp_path, "fs", "cat", ":note.txt").strip() == "by hand"


def test_opening_the_port_wakes_a_board_that_sleeps_and_its_button_is_pressed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "bench"

    def sleep(stand: Bench) -> None:
        line = "import machine; machine.deepsleep(3_600_000)"
        mpremote(stand, tmp_path, "exec", "--no-follow", line)
        until(lambda: stand.do("1", "state")["board"] == "asleep")

    with bench(folder, "--boards", 1, "--board", BOARD) as stand:
        flash(stand, tmp_path, "0x0", factory(tmp_path))
        stand.do("1", "press")
        sleep(stand)
        with open_port(stand.port("1")) as port:
            assert b"rst:0x1 (POWERON)" in port.read_until(b"(POWERON)")
        sleep(stand)
        stand.do("1", "switch", set={"wake_on_open": False})
        with open_port(stand.port("1")) as port:
            port.timeout = 0.3
            assert port.read(1) == b""


def test_a_provisioned_board_reports_through_its_modem(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    fleet = FleetProcess(
        tmp_path / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "0"
    )

    async def prepare(node_id: str) -> dict[str, Any]:
        await fleet.command("init")
        await fleet.command("area", "add", "440106", "Tianhe")
        run = await fleet.start()
        keys = await enrol(fleet, node_id, "gas-meter", "440106")
        board = load_board(BOARD)
        config = {
            "node": node_id, "role": "gas-meter", "modem": board.modem, "apn": "",
            "host": "localhost", "port": run["coap_port"], "pins": board.pins,
            "door": "coap", "report_s": 3600, "report_records": 1, "litres_per_pulse": 10,
        }  # fmt: skip
        return {
            "cfg": cbor.encode(config), "key": keys.key, "cert": keys.certificate,
            "ca": keys.root, "oscore": keys.oscore,
        }  # fmt: skip

    def stored() -> int:
        with contextlib.closing(sqlite3.connect(tmp_path / "fleet" / "kapok.db")) as database:
            return int(database.execute("SELECT count(*) FROM readings").fetchone()[0])

    async def run() -> None:
        with bench(folder, "--boards", 1, "--board", BOARD, "--rate", RATE) as stand:
            try:
                values = await prepare(stand.facts["boards"][0]["node_id"])
                image = tmp_path / "nvs.bin"
                image.write_bytes(
                    nvs.encode({NAMESPACE: {k: bytes(v) for k, v in values.items()}}, 0x4000)
                )
                flash(stand, tmp_path, "0x0", factory(tmp_path))
                await asyncio.to_thread(flash, stand, tmp_path, "0x9000", image)
                await asyncio.to_thread(until, lambda: stored() >= 2)
            except AssertionError:
                raise AssertionError(stand.do("1", "state")) from None
            finally:
                await fleet.stop()

    asyncio.run(run())
