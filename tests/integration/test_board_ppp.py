"""PPP on the virtual board: `network.PPP` over the EC200's twin, and the firmware's bearer."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent, indent
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
SECOND = 1_000_000
# Errors are told as [code, cause].
BOOT = """
sys.path[:] = [mount("a"), ".frozen"]
import asyncio, json, machine, network, socket, time
from node.errors import LinkError
from node.link.modems import open_modem

PORT = %d
uart = machine.UART(1, baudrate=115200, tx=17, rx=18, rxbuf=4096, txbuf=4096)
reset = machine.Pin(21, machine.Pin.OUT)
modem = open_modem("ec200", uart, {"reset": reset})
data = bytes(range(256)) * 20
state = {}

class Kept:
    get = state.get
    def set(self, key, value):
        state[key] = value

def tell(**what):
    print("TOLD", json.dumps(what))

async def attach():
    await modem.wake(Kept())
    await modem.attach("", 180000)

async def echo(connection, data):
    got = bytearray()
    async def receive():
        while len(got) < len(data):
            part = await connection.recv(1000)
            if not part:
                break
            got.extend(part)
    receiving = asyncio.create_task(receive())
    await connection.send(data)
    await asyncio.wait_for_ms(receiving, 60000)
    return got == data

async def failing(what):
    started = time.ticks_ms()
    try:
        await what
    except LinkError as e:
        return [e.code, e.cause, time.ticks_diff(time.ticks_ms(), started)]
    except asyncio.TimeoutError:
        return [0, 0, time.ticks_diff(time.ticks_ms(), started)]

async def main():
%s

asyncio.run(main())
print("END")
machine.deepsleep()
"""


class Rig:
    """A board with an EC200's twin."""

    def __init__(self, board: VirtualBoard, twin: ModemTwin, echo: Echo) -> None:
        self.board = board
        self.twin = twin
        self.echo = echo
        self.lines: list[str] = []

    @property
    def told(self) -> dict[str, Any]:
        """All that the script has told so far."""
        lines = [json.loads(line[5:]) for line in self.lines if line.startswith("TOLD ")]
        return {key: value for line in lines for key, value in line.items()}

    async def until(self, name: str) -> Any:
        """What is told under this name."""
        await self.board.run_until(lambda: name in self.told or self._broken())
        assert name in self.told, self.lines
        return self.told[name]

    async def end(self) -> dict[str, Any]:
        """What was told when the script is through."""
        await self.board.run_until(lambda: "END" in self.lines or self._broken())
        assert "END" in self.lines, "\n".join(self.lines)
        assert not self.board.life.crashes
        return self.told

    def _broken(self) -> bool:
        end = self.lines[-1] if self.lines else ""
        return "Error" in end and "Traceback (most recent call last):" in self.lines


@asynccontextmanager
async def running(folder: Path, script: str, **options: Any) -> AsyncIterator[Rig]:
    """The script is the body of a coroutine."""
    async with Echo() as echo:
        boot = BOOT % (echo.port, indent(dedent(script), "    "))
        files = slots.build(firmware_dir(), slots.cache_dir() / "node", script=boot)
        supervisor = files["/boot.py"].decode().removesuffix("run()\n")
        files["/boot.py"] = (supervisor + boot).encode()
        table = partitions.load(hw_dir() / "partitions" / "4MiB.csv", FLASH_SIZE)
        firmware.make_flash(folder / "flash.bin", table, FLASH_SIZE, files)
        twin = ModemTwin("ec200", seed=5, attach_delay_s=(2, 4), **options)
        board = VirtualBoard(
            folder,
            MAC,
            heapsize="192k",  # PPP's shims are in it
            haste=20.0,  # deadlines that run out while a socket is open
            twins={1: twin},
            wires={21: (1, "reset")},
            console=lambda line: rig.lines.append(line.strip()),
        )
        rig = Rig(board, twin, echo)
        try:
            yield rig
        finally:
            await board.stop()


async def test_dial_echo_hang_up_and_the_modem_takes_commands_again(tmp_path: Path) -> None:
    script = """
    await attach()
    for turn in ("first", "second"):
        started = time.ticks_ms()
        await modem.dial(30000)
        ppp = modem.ppp
        tell(up=[ppp.isconnected(), ppp.status()], took=time.ticks_diff(time.ticks_ms(), started))
        tell(ifconfig=ppp.ifconfig(), addr4=ppp.ipconfig("addr4"))
        from node.link.ppp import Bearer
        bearer = Bearer(modem, "localhost", "127.0.0.1")
        connection = await bearer.connect("localhost", PORT, 20000)
        tell(**{turn: await echo(connection, data)})
        tell(counts=[connection.sent, connection.received])
        await connection.close()
        await modem.hang_up()
        tell(down=[ppp.isconnected(), ppp.status()])
        tell(**{turn + " at": (await modem.identity())["imei"]})
    at = await modem.connect("localhost", PORT, 20000)
    tell(at=await echo(at, data))
    """
    async with running(tmp_path, script) as rig:
        told = await rig.end()
    assert told["first"] is told["second"] is told["at"] is True
    assert told["counts"] == [5120, 5120]
    assert told["up"] == [True, 4]
    assert told["down"] == [False, 0]
    assert told["took"] < 2_000
    address = rig.twin.family.address
    assert told["ifconfig"] == [address, "10.64.64.64", "255.255.255.255", "192.0.2.53"]
    assert told["addr4"] == [address, "255.255.255.255"]
    assert told["first at"] == told["second at"] == rig.twin.family.imei
    assert rig.twin.ip is not None
    assert rig.twin.ip.calls == 2
    assert rig.board.uarts[1].overruns == 0


async def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    """A loop without a pause, and a socket that blocks."""
    script = """
    await attach()
    await modem.at.command("ATD*99#", 5000, until=("CONNECT ",))
    modem.at.stop()
    ppp = network.PPP(uart)
    tell(before=[ppp.status(), ppp.active(), ppp.poll()])
    ppp.connect()
    try:
        ppp.connect()
    except OSError as e:
        tell(again=e.errno)
    while not ppp.isconnected():
        pass
    tell(addr4=ppp.ipconfig("addr4")[0], stream=ppp.config("stream") is uart)
    tcp = socket.socket()
    tcp.connect(socket.getaddrinfo("localhost", PORT)[0][-1])
    tcp.write(b"one line\\nand more")
    tell(line=tcp.readline().decode(), more=tcp.read(8).decode())
    tcp.settimeout(1)
    try:
        tcp.recv(10)
    except OSError as e:
        tell(silent=e.errno)
    tcp.close()
    try:
        socket.getaddrinfo("nobody.invalid", 1)
    except OSError as e:
        tell(unknown=e.errno)
    ppp.disconnect()
    while ppp.isconnected():
        pass
    tell(after=[ppp.status(), ppp.active()])
    """
    async with running(tmp_path, script) as rig:
        told = await rig.end()
    assert told["before"] == [0, False, -1]
    assert told["again"] == 114  # EALREADY
    assert told["addr4"] == rig.twin.family.address
    assert told["stream"] is True
    assert told["line"] + told["more"] == "one line\nand more"
    assert told["silent"] == 110  # ETIMEDOUT
    assert told["unknown"] == -202
    assert told["after"] == [0, False]


async def test_a_socket_needs_the_link(tmp_path: Path) -> None:
    script = """
    def trying(what, *args):
        try:
            what(*args)
        except OSError as e:
            return e.errno
    tell(before=trying(socket.socket().connect, ("127.0.0.1", PORT)))
    tell(name=trying(socket.getaddrinfo, "localhost", PORT))
    tell(udp=trying(socket.socket, socket.AF_INET, socket.SOCK_DGRAM))
    await attach()
    await modem.dial(30000)
    tcp = socket.socket()
    tell(unconnected=trying(tcp.recv, 1))
    tcp.connect(("127.0.0.1", PORT))
    many = [socket.socket() for _ in range(16)]
    tell(many=[trying(one.connect, ("127.0.0.1", PORT)) for one in many].index(23))
    tell(refused=trying(socket.socket().connect, ("127.0.0.1", 1)))
    for one in many:
        one.close()
    tell(refused=trying(socket.socket().connect, ("127.0.0.1", 1)))
    tell(foreign=trying(socket.socket().connect, ("192.0.2.1", 80)))
    await modem.hang_up()
    tell(down=trying(tcp.recv, 1), after=trying(socket.socket().connect, ("127.0.0.1", PORT)))
    """
    async with running(tmp_path, script) as rig:
        told = await rig.end()
    assert told["before"] == told["after"] == 113  # EHOSTUNREACH
    assert told["name"] == -202
    assert told["udp"] == 93  # EPROTONOSUPPORT
    assert told["unconnected"] == 107  # ENOTCONN
    assert told["many"] == 9
    assert told["refused"] == told["foreign"] == 111  # ECONNREFUSED
    assert told["down"] == 103  # ECONNABORTED


@pytest.mark.parametrize("how", ["detach", "deactivate"])
async def test_no_carrier_in_the_middle_is_an_error_and_no_hang(tmp_path: Path, how: str) -> None:
    script = """
    await attach()
    await modem.dial(30000)
    from node.link.ppp import Bearer
    bearer = Bearer(modem, "localhost", "127.0.0.1")
    connection = await bearer.connect("localhost", PORT, 20000)
    tell(echo=await echo(connection, data))
    tell(receiving=await failing(connection.recv(100)))
    tell(sending=await failing(connection.send(data)))
    tell(up=modem.ppp.isconnected())
    started = time.ticks_ms()
    await connection.close()
    await bearer.close()
    tell(closed=time.ticks_diff(time.ticks_ms(), started))
    tell(imei=(await modem.identity())["imei"])
    tell(dead=await failing(bearer.connect("localhost", PORT, 20000)))
    """
    async with running(tmp_path, script) as rig:
        await rig.until("echo")
        rig.twin.network.detach() if how == "detach" else rig.twin.deactivate()
        told = await rig.end()
    code, cause, _ = told["receiving"]
    assert (code, cause) == (16, 103)
    assert told["sending"][:2] == [16, 103]
    assert told["closed"] < 8_000
    assert told["imei"] == rig.twin.family.imei
    assert told["dead"][:2] == [16, 113]


async def test_a_modem_that_falls_silent_ends_in_deadlines(tmp_path: Path) -> None:
    script = """
    await attach()
    await modem.dial(30000)
    from node.link.ppp import Bearer
    bearer = Bearer(modem, "localhost", "127.0.0.1")
    connection = await bearer.connect("localhost", PORT, 20000)
    tell(echo=await echo(connection, data))
    await asyncio.sleep_ms(5000)
    tell(hanging=await failing(modem.hang_up()))
    tell(later=await failing(modem.at.command("AT", 1000)))
    """
    async with running(tmp_path, script) as rig:
        await rig.until("echo")
        rig.twin.mute = True
        told = await rig.end()
    assert told["hanging"][0] == 13  # ModemMute
    assert told["hanging"][2] < 15_000
    assert told["later"][0] == 13


async def test_dialling_that_fails_says_why_and_leaves_a_modem_that_takes_commands(
    tmp_path: Path,
) -> None:
    script = """
    await attach()
    await modem.at.command("AT+CFUN=0", 15000)
    tell(radio=await failing(modem.dial(30000)))
    await modem.at.command("AT+CFUN=1", 15000)
    await modem.attach("", 180000)
    tell(ready=True)
    await asyncio.sleep_ms(5000)
    tell(link=await failing(modem.dial(20000)), free=modem.ppp is None)
    tell(imei=(await modem.identity())["imei"])
    """
    async with running(tmp_path, script) as rig:
        await rig.until("ready")
        assert rig.twin.ip is not None
        rig.twin.ip._start = lambda: None  # type: ignore[method-assign]  # it never negotiates
        told = await rig.end()
    assert told["radio"][:2] == [12, 30]  # AtError
    assert told["link"][:2] == [16, 0]  # SocketError, by the deadline
    assert 20_000 <= told["link"][2] < 40_000
    assert told["free"] is True
    assert told["imei"] == rig.twin.family.imei


async def test_a_refused_connection_and_a_host_that_never_answers(tmp_path: Path) -> None:
    script = """
    await attach()
    await modem.dial(30000)
    from node.link.ppp import Bearer
    bearer = Bearer(modem, "localhost", "127.0.0.1")
    tell(refused=await failing(bearer.connect("localhost", 1, 20000)))
    tell(unknown=await failing(bearer.connect("other.test", PORT, 20000)))
    await modem.hang_up()
    tell(imei=(await modem.identity())["imei"])
    """
    async with running(tmp_path, script) as rig:
        told = await rig.end()
    assert told["refused"][:2] == [16, 111]
    assert told["unknown"][:2] == [16, 0]
    assert told["imei"] == rig.twin.family.imei


async def test_a_chip_that_was_reset_in_a_call_gets_the_modem_back_by_the_escape(
    tmp_path: Path,
) -> None:
    script = """
    await attach()
    if machine.reset_cause() == machine.PWRON_RESET:
        await modem.dial(30000)
        tell(up=modem.ppp.isconnected())
        machine.reset()
    tell(rungs=state.get("rungs"), again=await failing(modem.dial(30000)))
    await modem.hang_up()
    """
    async with running(tmp_path, script) as rig:
        await rig.until("up")
        await rig.board.run_for(10 * SECOND)
        assert rig.twin.state is State.DATA
        told = await rig.end()
    assert told["rungs"][:3] == [1, 1, 0]  # AT in vain, then the escape, and no reset
    assert rig.twin.boots == 1
