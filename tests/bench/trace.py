"""A level trace through the whole thread: `python -m tests.bench.trace [FILE.csv]`.

The stimulus ends the drainage node's deep sleep at each row's time; every row must be in the
database once, at its time, and equal after rounding to 0.01 m, flagged as the rule for levels says
(level_rule.py): each jump of over 0.5 m/h is flagged, alarmed, or back from one that was. Virtual
time is not paced.
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
from typing import NamedTuple

from hil.fleet_process import FleetProcess
from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.node import VirtualNode, mac_of
from hil.virtual.scenes import SECOND
from hil.virtual.stimulus import TraceError, read_trace
from tests.bench import level_rule
from tests.bench.level_rule import Jumps, Level

AREA = ("440106", "Tianhe")
LATE_S = 60  # between the row's time and the reading's: boot, and a contact that was under way
LEVEL, LEVEL_FLAGS, LEVEL_RISE, SENSOR_STUCK, SENSOR_FAULT = 2, 55, 1021, 1022, 1023
SUSPECT = 2
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


class Outcome(NamedTuple):
    """What a run left in the database: levels with their flags, events as (s, 1 or 0)."""

    levels: list[Level]
    rises: list[tuple[int, int]]
    stuck: list[tuple[int, int]]
    jumps: Jumps

    def lines(self) -> list[str]:
        """The rule's counts, for a person."""
        jumps = self.jumps
        outliers, stuck, off = (
            sum(level.flags >> bit & 1 for level in self.levels) for bit in range(3)
        )
        rises, times = (sum(value for _, value in events) for events in (self.rises, self.stuck))
        return [
            f"{jumps.total} of them differ from the one before by more than 0.5 m/h:",
            f"    {jumps.flagged} flagged as outliers",
            f"    {jumps.alarmed} alarmed at once",
            f"    {jumps.back} back from an outlier",
            f"    {jumps.unexplained} unexplained",
            f"flags: {outliers} outliers, {stuck} stuck, {off} out of range, all values kept",
            f"events: {rises} level_rise, reported at once, {times} sensor_stuck",
        ]


def judge(outcome: Outcome) -> list[str]:
    """Where the node and the rule disagree; empty if nowhere."""
    wanted = level_rule.expected([(level.time_s, level.mm) for level in outcome.levels])
    wrong = [
        f"{level.mm} mm at {level.time_s} has flags {level.flags}, the rule says {flags}"
        for level, flags in zip(outcome.levels, wanted, strict=True)
        if level.flags != flags
    ]
    if outcome.jumps.unexplained:
        wrong.append(f"{outcome.jumps.unexplained} jumps are neither flagged nor alarmed")
    return wrong


async def run(folder: Path, rows: list[tuple[int, float]]) -> tuple[list[str], Outcome]:
    """Play `rows`, wait until all is delivered, and compare: what is wrong, and what is there."""
    fleet = FleetProcess(folder / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "0")
    await fleet.command("init")
    await fleet.command("area", "add", *AREA)
    addresses = await fleet.start()
    scene = scenes.drainage(rows[0][0] - 300 * SECOND, rows)
    scene.config.update(report_records=48, report_s=604_800, **level_rule.TRACE)
    # It reports at once when it alarms; the rest may wait, here as in quiet weather.
    scene.config.update(rising_report_s=86_400, storm_report_s=86_400)
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
    found = outcome(fleet.data / "kapok.db", node.node_id)
    return [*compare(rows, stored), *judge(found)], found


def levels(database: Path, node_id: str) -> list[tuple[int, int]]:
    """(us, mm) of all levels of a node, in order of time."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(
            "SELECT time_us, value FROM readings WHERE terminal_id = ? AND quantity = ?"
            " ORDER BY time_us, value",
            (node_id, LEVEL),
        ).fetchall()


def outcome(database: Path, node_id: str) -> Outcome:
    """What the database has of this node."""

    def read(quantity: int) -> list[tuple[int, int, int]]:
        return connection.execute(
            "SELECT time_us / 1000000, value, quality FROM readings WHERE terminal_id = ?"
            " AND quantity = ? ORDER BY time_us, id",
            (node_id, quantity),
        ).fetchall()

    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        flags = {at: value for at, value, _ in read(LEVEL_FLAGS)}
        levels = [
            # One that is suspect says why, and one that says why is suspect.
            Level(at, mm, flags.get(at, 0) if (quality == SUSPECT) == (at in flags) else -1)
            for at, mm, quality in read(LEVEL)
        ]
        rises = [(at, value) for at, value, _ in read(LEVEL_RISE)]
        stuck = [(at, value) for at, value, _ in read(SENSOR_STUCK)]
    return Outcome(levels, rises, stuck, level_rule.jumps(levels, rises))


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
        wrong, found = asyncio.run(run(Path(folder), rows))
    print("\n".join(wrong[:20]) if wrong else f"all {len(rows)} values arrived once and equal")
    print("\n".join(found.lines()))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
