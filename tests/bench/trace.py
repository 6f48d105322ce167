"""A level trace through the whole thread: `python -m tests.bench.trace [FILE.csv]`.

The stimulus ends the drainage node's deep sleep at each row's time; every row must be in the
database once, at its time, and equal after rounding to 0.01 m. Virtual time is not paced.
"""

import argparse
import asyncio
import contextlib
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from hil.fleet_process import FleetProcess
from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.node import VirtualNode, mac_of
from hil.virtual.scenes import SECOND
from hil.virtual.stimulus import TraceError, read_trace

AREA = ("440106", "Tianhe")
LATE_S = 60  # between the row's time and the reading's: boot, and a contact that was under way
LEVEL = 2
ROWS = 6720  # of the trace that is made when none is given


def compare(rows: list[tuple[int, float]], stored: list[tuple[int, int]]) -> list[str]:
    """What differs between (us, m) given and (us, mm) stored, in order of time; empty if equal."""
    wrong = []
    if len(rows) != len(stored):
        wrong.append(f"{len(rows)} values given, {len(stored)} stored")
    for (at, value), (time_us, millimetres) in zip(rows, stored, strict=False):
        same = round(value * 100) == (millimetres + 5) // 10
        if not same or not -SECOND <= time_us - at <= LATE_S * SECOND:
            wrong.append(f"{value} m at {at} is stored as {millimetres} mm at {time_us}")
    return wrong


async def run(folder: Path, rows: list[tuple[int, float]]) -> list[str]:
    """Play `rows`, wait until all is delivered, and compare."""
    fleet = FleetProcess(folder / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "0")
    await fleet.command("init")
    await fleet.command("area", "add", *AREA)
    addresses = await fleet.start()
    scene = scenes.drainage(rows[0][0] - 300 * SECOND, rows)
    scene.config.update(report_records=48, report_s=604_800)
    node = VirtualNode(folder / "node", mac_of("trace"), scene)
    try:
        credentials = await enrol(fleet, node.node_id, "drainage", AREA[0])
        node.provision(credentials, "localhost", addresses["broker_port"])
        began = time.monotonic()
        node.board.start()
        stored: list[tuple[int, int]] = []
        seen, changed = 0, began
        while len(stored) < len(rows) and time.monotonic() - changed < 60:
            await asyncio.sleep(1)
            stored = levels(fleet.data / "kapok.db", node.node_id)
            if len(stored) != seen:
                seen, changed = len(stored), time.monotonic()
                print(f"\r{seen} of {len(rows)} stored", end="", flush=True)
        await asyncio.sleep(1)  # a repeat would show now
        stored = levels(fleet.data / "kapok.db", node.node_id)
        print(f"\r{len(stored)} of {len(rows)} stored in {time.monotonic() - began:.0f} s")
    finally:
        await node.board.stop()
        await fleet.stop()
    return compare(rows, stored)


def levels(database: Path, node_id: str) -> list[tuple[int, int]]:
    """(us, mm) of all levels of a node, in order of time."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(
            "SELECT time_us, value FROM readings WHERE terminal_id = ? AND quantity = ?"
            " ORDER BY time_us, value",
            (node_id, LEVEL),
        ).fetchall()


def trace(path: Path | None) -> Iterable[tuple[int, float]]:
    """The rows of `path`, or as many of a made-up river."""
    if path is not None:
        return read_trace(path)
    start = 1_648_810_510 * SECOND
    return [row for row, _ in zip(scenes.quiet_river(start, 7), range(ROWS), strict=False)]


def main() -> int:
    """Exit code 0 when every value arrived once and equal."""
    parser = argparse.ArgumentParser(prog="make soak-trace")
    parser.add_argument("file", type=Path, nargs="?", help="time,value CSV; without it, made up")
    try:
        rows = list(trace(parser.parse_args().file))
    except TraceError as e:
        print(e, file=sys.stderr)
        return 2
    if not rows:
        print("the trace has no values", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="kapok-trace-") as folder:
        wrong = asyncio.run(run(Path(folder), rows))
    print("\n".join(wrong[:20]) if wrong else f"all {len(rows)} values arrived once and equal")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
