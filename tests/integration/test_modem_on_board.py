"""The real modem drivers on the virtual board, over the twin, to a loopback TCP server."""

from pathlib import Path
from typing import Any

import pytest
from modem_bench import Echo

from fleet.flashing import partitions
from fleet.paths import firmware_dir, hw_dir
from fleet.releases import slots
from hil.virtual import firmware
from hil.virtual.board import FLASH_SIZE, VirtualBoard
from hil.virtual.modem import ModemTwin, State

MAC = bytes.fromhex("a4cf12345678")
FAMILIES = ["bc660k", "ec200"]

BOOT = """
sys.path[:] = [mount("a"), ".frozen"]
import asyncio, json, machine, time
from node.errors import NodeError
from node.link.modems import open_modem

CONFIG = %r
uart = machine.UART(1, baudrate=115200, tx=17, rx=18, rxbuf=4096, txbuf=4096)

class Wired:
    def __init__(self, number):
        self.pin = machine.Pin(number, machine.Pin.OUT)
    def value(self, level):
        self.pin.value(level)

modem = open_modem(CONFIG["family"], uart, {"reset": Wired(21)})
data = bytes(range(256)) * 8 + b'\\r\\nOK\\r\\n> +QIURC: "recv",0,9,SEND OK'

async def contact():
    await modem.wake()
    await modem.attach("", 180000)
    print("TIME", await modem.network_time())
    socket = await modem.connect("localhost", CONFIG["port"], 30000)
    await socket.send(data)
    got = b""
    while len(got) < len(data):
        part = await asyncio.wait_for_ms(socket.recv(512), 20000)
        if not part:
            break
        got += part
    print("ECHO", got == data, socket.sent, socket.received)
    await socket.close()

async def main():
    started = time.ticks_ms()
    try:
        await contact()
    except NodeError as e:
        print("FAILED", e.code, e.cause, time.ticks_diff(time.ticks_ms(), started))
    try:
        await modem.sleep()
    except NodeError as e:
        print("NO SLEEP", e.code)

asyncio.run(main())
machine.deepsleep(3600000)
"""


class Rig:
    """A board with one twin, its echo server, and what the firmware printed."""

    def __init__(self, folder: Path, family: str, echo: Echo, **options: Any) -> None:
        self.lines: list[str] = []
        self.twin = ModemTwin(family, seed=5, **options)
        boot = BOOT % ({"family": family, "port": echo.port},)
        files = slots.build(firmware_dir(), slots.cache_dir() / "node", script=boot)
        supervisor = files["/boot.py"].decode().removesuffix("run()\n")
        files["/boot.py"] = (supervisor + boot).encode()
        table = partitions.load(hw_dir() / "partitions" / "4MiB.csv", FLASH_SIZE)
        firmware.make_flash(folder / "flash.bin", table, FLASH_SIZE, files)
        self.board = VirtualBoard(
            folder,
            MAC,
            twins={1: self.twin},
            wires={21: (1, "reset")},
            console=self.lines.append,
        )

    def count(self, start: str) -> int:
        """How many lines began so."""
        return sum(line.startswith(start) for line in self.lines)


@pytest.mark.parametrize("family", FAMILIES)
async def test_two_wakes_an_hour_apart_echo_every_byte(tmp_path: Path, family: str) -> None:
    async with Echo() as echo:
        rig = Rig(tmp_path, family, echo)
        try:
            begin = rig.board.now_us
            await rig.board.run_until(lambda: rig.count("ECHO") == 1)
            size = 8 * 256 + 34
            assert rig.lines[-1].strip() == f"ECHO True {size} {size}", rig.lines
            assert rig.board.now_us - begin > 20_000_000  # the attach took its virtual time
            told = int(rig.lines[0].split()[1])
            assert abs(told - rig.board.now_us // 1_000_000) <= 2
            await rig.board.run_until(lambda: rig.count("ECHO") == 2)
            assert rig.board.now_us - begin > 3_600_000_000
            assert rig.lines[-1].strip() == f"ECHO True {size} {size}", rig.lines
            assert rig.twin.up_bytes == rig.twin.down_bytes == 2 * size
            assert not rig.board.life.crashes
            assert rig.board.uarts[1].overruns == 0
        finally:
            await rig.board.stop()
        assert rig.twin.state is State.OFF


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_mute_modem_costs_a_bounded_time_and_a_reset(tmp_path: Path, family: str) -> None:
    async with Echo() as echo:
        rig = Rig(tmp_path, family, echo)
        rig.twin.mute = True
        try:
            await rig.board.run_until(lambda: rig.count("FAILED") == 1)
            _, code, _, took = rig.lines[-1].split()
            assert int(code) == 13  # ModemMute
            assert int(took) < 45_000
            assert rig.twin.boots == 2  # the reset pin was tried
            rig.twin.mute = False
            await rig.board.run_until(lambda: rig.count("ECHO") == 1)
        finally:
            await rig.board.stop()


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_power_cut_in_the_middle_of_a_contact_is_gone_with_the_next_start(
    tmp_path: Path, family: str
) -> None:
    async with Echo() as echo:
        rig = Rig(tmp_path, family, echo, attach_delay_s=(2, 4))
        try:
            await rig.board.run_until(lambda: rig.twin.up_bytes > 0)
            await rig.board.power_cut()
            assert rig.twin.state is State.OFF
            assert not any(connection.open for connection in rig.twin.connections)
            rig.board.power_on()
            await rig.board.run_until(lambda: rig.count("ECHO") == 1)
            assert "True" in rig.lines[-1]
        finally:
            await rig.board.stop()


async def test_a_connection_that_is_refused_ends_in_a_socket_error(tmp_path: Path) -> None:
    async with Echo() as echo:
        rig = Rig(tmp_path, "bc660k", echo, attach_delay_s=(2, 4))
        echo.server.close()
        await echo.server.wait_closed()
        try:
            await rig.board.run_until(lambda: rig.count("FAILED") == 1)
            assert rig.lines[-1].split()[1:3] == ["16", "566"]
        finally:
            await rig.board.stop()
