"""Ten thousand open connections of HJ 212 on one core: `make bench-legacy`.

`kapok legacy serve` as it is on one core, with its database on disk; the stations on another. Each
answer is waited for, and at the end every reading is counted. In the same run, on the same core
and by the same load: an asyncio server that sends back what it gets.

Other work on the machine takes wall time from both, so the ratio is of the server's own CPU time.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from fleet.db.base import Database
from fleet.legacy.descriptors import make_room
from fleet.migration.inventory_tables import LegacyTerminal
from fleet.registry import legacy_ids
from fleet.registry.tables import Area, Asset, Installation, Site, Terminal
from fleet.settings import load
from fleet.setup import init
from fleet.telemetry.tables import Reading
from tests.bench.legacy_client import mn

SERVER_CORE, CLIENT_CORE = 0, 1
VALUES = 4  # of a frame
_CLOCK = os.sysconf("SC_CLK_TCK")


def city(data: Path, count: int) -> None:
    """A data folder with so many stations."""
    init(data)
    now = 1_600_000_000_000_000
    with closing(Database(load(data).database_url)) as database, database.begin() as session:
        session.add(Area(code="440106001", name="Shipai"))
        session.flush()
        session.add(Site(id=1, area_code="440106001", name="works"))
        session.flush()
        ids = [legacy_ids.candidates(f"H{n}")[0] for n in range(count)]
        session.execute(
            insert(Asset),
            [{"id": n + 1, "site_id": 1, "kind": "environment", "name": f"outfall {n}"}
             for n in range(count)],
        )  # fmt: skip
        session.execute(
            insert(Terminal),
            [{"id": one, "kind": "legacy", "role": "environment", "state": "active",
              "area_code": "440106001", "added_us": now} for one in ids],
        )  # fmt: skip
        session.execute(
            insert(Installation),
            [{"terminal_id": one, "asset_id": n + 1, "from_us": now, "open_for": one,
              "register_offset": 0} for n, one in enumerate(ids)],
        )  # fmt: skip
        rest = dict.fromkeys(
            ("model", "msisdn", "operator", "bearer", "capable", "power", "mobility", "voice",
             "sim", "sim_bearers", "sim_lock", "site_state", "access", "unit", "first_index",
             "source", "digest"), "",
        )  # fmt: skip
        session.execute(
            insert(LegacyTerminal),
            [{"terminal_id": one, "number": f"H{n}", "protocol": "hj212", "address": mn(n),
              "imported_us": now, **rest} for n, one in enumerate(ids)],
        )  # fmt: skip


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio calls it."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """As asyncio calls it."""
        self.transport.write(data)  # type: ignore[attr-defined]


async def echo(connections: int) -> None:
    """Serve until killed."""
    make_room(connections)
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=4096)
    print(json.dumps({"hj212_port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.Event().wait()


@contextmanager
def process(*words: str, core: int) -> Iterator[subprocess.Popen[str]]:
    """A program on a core, until the block ends."""
    started = subprocess.Popen(
        [sys.executable, "-m", *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509
    )  # fmt: skip
    try:
        yield started
    finally:
        started.terminate()
        started.wait(30)


def cpu_s(pid: int) -> float:
    """CPU time of a process, all its threads."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / _CLOCK


def rss_kb(pid: int) -> int:
    """Its memory."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def measured(words: list[str], asked: argparse.Namespace, each_s: float) -> dict[str, Any]:
    """What one server does under the load."""
    with process(*words, core=SERVER_CORE) as server:
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["hj212_port"]
        time.sleep(0.5)
        empty = rss_kb(server.pid)
        load_words = [
            "tests.bench.legacy_client", str(port), "--connections", str(asked.connections),
            "--seconds", str(asked.seconds), "--each", str(each_s), "--core", str(CLIENT_CORE),
        ]  # fmt: skip
        with process(*load_words, core=CLIENT_CORE) as client:
            assert client.stdout is not None
            assert client.stdin is not None
            told: dict[str, Any] = {}
            before = cpu_s(server.pid)
            for line in client.stdout:
                ((name, said),) = json.loads(line).items()
                after = cpu_s(server.pid)
                told[name] = {**said, "cpu_s": after - before}
                if name == "open":
                    told["memory_kb"] = rss_kb(server.pid) - empty
                before = after
                if name == "done":
                    break
                client.stdin.write("\n")
                client.stdin.flush()
            if "done" not in told:
                raise SystemExit("bench-legacy: the stations ended early")
            told["peak_kb"] = rss_kb(server.pid)
        return told


def main() -> None:
    """Print what was found; exit 1 where a reading is missing or a connection was lost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--echo", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.echo:
        asyncio.run(echo(asked.connections + 100))
        return
    make_room(asked.connections)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        city(data, asked.connections)
        words = ["fleet", "--data", str(data), "legacy", "serve", "--hj212-port", "0",
                 "--sl651-port", "off", "--dtu-port", "off", "--json"]  # fmt: skip
        ours = measured(words, asked, 10.0)
        with closing(Database(load(data).database_url)) as database, database.read() as session:
            stored = session.scalar(select(func.count()).select_from(Reading)) or 0
    words = ["tests.bench.legacy", "--echo", "--connections", str(asked.connections)]
    bare = measured(words, asked, 0.0)
    report(asked, ours, bare, stored)
    if stored != VALUES * ours["done"]["frames"] or ours["done"]["lost"]:
        print(f"FAILED: {stored} readings of {ours['done']['frames']} frames", file=sys.stderr)
        raise SystemExit(1)


def report(
    asked: argparse.Namespace, ours: dict[str, Any], bare: dict[str, Any], stored: int
) -> None:
    """For people, or as JSON."""
    full, calm, plain = ours["saturated"], ours["steady"], bare["saturated"]
    per_frame = 1e6 * full["cpu_s"] / max(1, full["answers"])
    per_echo = 1e6 * plain["cpu_s"] / max(1, plain["answers"])
    found = {
        "connections": ours["open"]["connections"],
        "frames_per_s": round(full["answers"] / full["seconds"]),
        "frames_per_cpu_s": round(1e6 / per_frame),
        "saturated_p50_ms": full["p50_ms"],
        "saturated_p99_ms": full["p99_ms"],
        "steady_frames_per_s": round(calm["answers"] / calm["seconds"]),
        "steady_p50_ms": calm["p50_ms"],
        "steady_p99_ms": calm["p99_ms"],
        "kb_per_connection": round(ours["memory_kb"] / asked.connections, 1),
        "echo_per_s": round(plain["answers"] / plain["seconds"]),
        "echo_per_cpu_s": round(1e6 / per_echo),
        "echo_kb_per_connection": round(bare["memory_kb"] / asked.connections, 1),
        "ratio_cpu": round(per_frame / per_echo, 1),
        "readings": stored,
        "frames": ours["done"]["frames"],
    }
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{found['connections']} open HJ 212 connections, the server on one core")
    print(
        f"all at once: {found['frames_per_s']} frames/s ({VALUES} readings each) decoded, stored "
        f"and answered; {found['frames_per_cpu_s']} in a second of its CPU; answer p50 "
        f"{found['saturated_p50_ms']} ms, p99 {found['saturated_p99_ms']} ms"
    )
    print(
        f"each once in 10 s: {found['steady_frames_per_s']} frames/s; answer p50 "
        f"{found['steady_p50_ms']} ms, p99 {found['steady_p99_ms']} ms"
    )
    print(
        f"memory: {found['kb_per_connection']} kB a connection (echo: "
        f"{found['echo_kb_per_connection']} kB)"
    )
    print(
        f"bare asyncio echo: {found['echo_per_s']}/s, {found['echo_per_cpu_s']} in a second of "
        f"its CPU; a frame stored costs {found['ratio_cpu']} echoes"
    )
    print(f"{stored} readings of {found['frames']} frames: all there")


if __name__ == "__main__":
    main()
