"""`kapok node sub pass`: a master station reads the devices behind a gateway for a while."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import rich_click as click

from fleet.cli.common import data_folder, database, one_line_errors, settings
from fleet.errors import Refusal
from fleet.whoami import account, user_name

_PARITIES = ("none", "even", "odd")


class PassError(Refusal, RuntimeError):
    """The session cannot be had; one line says why."""


@click.command("pass")
@click.argument("node_id")
@click.option("--listen", default="127.0.0.1:0", show_default=True, help="For the master station.")
@click.option("--seconds", type=click.IntRange(10, 600), default=240, show_default=True)
@click.option("--baud", type=click.IntRange(1200, 115_200), default=2400, show_default=True)
@click.option("--parity", type=click.Choice(_PARITIES), default="even", show_default=True)
@click.option(
    "--wait", type=click.IntRange(1, 86_400), default=7200, show_default=True,
    help="Seconds that the node may take to make contact.",
)  # fmt: skip
@click.option("--by", default="", help="Who asks; default: the user's name.")
@one_line_errors
def pass_(
    node_id: str, listen: str, seconds: int, baud: int, parity: str, wait: int, by: str
) -> None:
    """Pass a master station's frames to a gateway's line, and the answers back.

    Only what reads passes: Modbus functions 1 to 4, DL/T 645 reads, CJ/T 188 reads. The session
    begins at the gateway's next contact, and ends with its time, or within the cap of its wake.
    A `kapok serve` must run on this data folder, with the broker that the gateway uses.

    Example: kapok node sub pass 1gntj14d2p --listen 127.0.0.1:7001 --baud 2400
    """
    from fleet.control import commands
    from fleet.control.commands import Wanted
    from fleet.control.targets import NODE, Target

    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise click.UsageError(f"--listen {listen}: an address and a port, 127.0.0.1:7001")
    desk = _desk(data_folder() / "bus.json")
    arguments = [seconds, baud, _PARITIES.index(parity)]
    wanted = Wanted("pass", arguments, [Target(NODE, node_id)], max(wait, 60), 100)
    chosen = settings()
    with database(needs=chosen) as db, db.begin() as session:
        asked = commands.ask(session, wanted, by or user_name(), chosen.limits, account=account())
    click.echo(f"command {asked.identifier}: waiting for the contact of {node_id} ...")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_Bridge(desk, node_id, wait).run(host, int(port)))


def _desk(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise PassError(f"no kapok serve runs on {path.parent}: start it first") from None
    except ValueError:
        raise PassError(f"{path} is damaged: start kapok serve again") from None
    return found


class _Bridge:
    """One connection to the desk; master stations come one after the other."""

    def __init__(self, desk: dict[str, Any], node_id: str, wait_s: int) -> None:
        self._desk = desk
        self._node_id = node_id
        self._wait_s = wait_s
        self._lock = asyncio.Lock()
        self._over = asyncio.Event()
        self._frames = self._answers = 0

    async def run(self, host: str, port: int) -> None:
        try:
            self._in, self._out = await asyncio.open_connection("127.0.0.1", self._desk["port"])
        except OSError:
            raise PassError("no kapok serve runs on this data folder: start it first") from None
        left = await self._ask(
            {"secret": self._desk["secret"], "node": self._node_id, "wait_s": self._wait_s}
        )
        if not left.get("left_s"):
            raise PassError(
                f"node {self._node_id} made no contact in {self._wait_s} s: kapok command list"
            )
        server = await asyncio.start_server(self._station, host, port)
        where = ":".join(map(str, server.sockets[0].getsockname()[:2]))
        click.echo(f"open for {left['left_s']} s: the master station connects to {where}")
        async with server:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), left["left_s"])
        click.echo(f"over: {self._frames} frames, {self._answers} answers")

    async def _ask(self, request: object) -> dict[str, Any]:
        self._out.write(json.dumps(request).encode() + b"\n")
        await self._out.drain()
        found: dict[str, Any] = json.loads(await self._in.readline() or b"{}")
        return found

    async def _station(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from fleet.uplink import bus_frames

        rest = b""
        with contextlib.suppress(OSError):
            while data := await reader.read(512):
                frames, rest = bus_frames.split(rest + data)
                for frame in frames:
                    writer.write(await self._pass(frame))
                    await writer.drain()
        writer.close()

    async def _pass(self, frame: bytes) -> bytes:
        async with self._lock:
            self._frames += 1
            told = await self._ask({"frame": frame.hex()})
        if "answer" in told:
            self._answers += 1
            return bytes.fromhex(told["answer"])
        if told.get("why") == 1:
            click.echo(f"not passed, since it is no read: {frame.hex()}", err=True)
        elif told.get("why") is None:
            self._over.set()
        return b""
