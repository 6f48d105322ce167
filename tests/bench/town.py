"""Many virtual nodes that sample on a grid, each slot with a value of its own, and their count."""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hil.virtual.node import VirtualNode
from hil.virtual.scenes import FULL_SCALE_MV, HOUR, SECOND, Scene, microvolts
from hil.virtual.stimulus import Adc, Change

START = 1_780_300_800  # 2026-06-01 08:00:00 UTC
LEVEL_STEP = 10  # mm between the values of two slots: over twice the ADC's 3.2 mm
SUPPLY_STEP = 400  # mV, likewise
FIRST_LEVEL, FIRST_SUPPLY = 500, 40_000
MOST_SLOTS = 680  # then the supply sensor's 2.3 V come near the end of the ESP32's ADC
LAMP_READINGS = 7  # lamp, dim, supply, tilt, leakage, door, water
QUANTITY = {"drainage": 2, "lamppost": 5}
GRID = {"drainage": {2}, "lamppost": {3, 4, 5, 20, 26, 27, 28}}  # what each slot has
STEP = {"drainage": LEVEL_STEP, "lamppost": SUPPLY_STEP}


def grid_scene(role: str, slots: int) -> Scene:
    """A node of `role` that samples every hour; slot i has a value that tells i."""
    if slots > MOST_SLOTS:
        raise ValueError(f"{slots} hours a node: take more nodes, {MOST_SLOTS} is the most")
    start_us = START * SECOND + 300 * SECOND
    common = {"sample_s": 3600, "report_s": 43200, "report_records": 10}
    if role == "drainage":
        calibration = {"full_scale": 10_000, "low_uv": 600_000, "high_uv": 3_000_000}
        board, pin, readings = "esp32s3-bc660k", 1, 1
    else:
        calibration = {"full_scale": FULL_SCALE_MV, "low_uv": 0, "high_uv": 3_000_000}
        common["watch_s"] = 3600
        board, pin, readings = "esp32-ec200", 34, LAMP_READINGS
    scene = Scene(role, board, {**common, **calibration}, start_us, readings=readings)

    def schedule() -> Iterator[tuple[int, Change]]:
        first = start_us // HOUR
        for i in range(slots + 1):
            if role == "drainage":
                value = FIRST_LEVEL + i * LEVEL_STEP
                uv = microvolts(value, 10_000)
            else:
                value = FIRST_SUPPLY + i * SUPPLY_STEP
                uv = value * 3_000_000 // FULL_SCALE_MV
            at = start_us if i == 0 else (first + i) * HOUR - SECOND
            if i < slots:
                scene.given.append(((first + i) * HOUR, value))
            yield at, Adc(pin, uv)

    scene._schedule = schedule()
    return scene


@dataclass
class Tally:
    """What arrived of what was given, in readings; `sums` are per-asset totals that differ."""

    sensed: int = 0
    stored: int = 0
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    by_node: dict[str, int] = field(default_factory=dict)

    def line(self, wiped: str) -> str:
        """One line for a person; what the wiped node lost is told apart."""
        lost = self.lost - self.by_node.get(wiped, 0)
        return (
            f"sensed {self.sensed} stored {self.stored} lost {lost} "
            f"duplicated {self.duplicated} per-asset totals that differ {self.wrong}"
        )


def slots_stored(database: Path, node: VirtualNode) -> dict[int, Counter[int]]:
    """quantity -> how often each slot (hours since 1970) is in the database."""
    slots: dict[int, Counter[int]] = {}
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        for quantity, time_us in connection.execute(
            "SELECT quantity, time_us FROM readings WHERE terminal_id = ? AND quantity < 100",
            (node.node_id,),
        ):
            if quantity in GRID.get(node.scene.role, {quantity}):
                slots.setdefault(quantity, Counter())[time_us // HOUR] += 1
    return slots


def total_stored(database: Path, node: VirtualNode, last_us: int) -> int:
    """Sum of a node's values, each rounded to the step of its scene."""
    step = STEP[node.scene.role]
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT value FROM readings WHERE terminal_id = ? AND quantity = ? AND time_us < ?",
            (node.node_id, QUANTITY[node.scene.role], last_us),
        )
        return sum((value + step // 2) // step * step for (value,) in rows)


def tally(database: Path, nodes: list[VirtualNode], slots: int, excused: dict[str, int]) -> Tally:
    """Compare, slot by slot. `excused`: a wiped node's slot that it rightly sampled twice."""
    result = Tally()
    for node in nodes:
        first = node.scene.start_us // HOUR
        wanted = range(first, first + slots)
        stored = slots_stored(database, node)
        missing = 0
        for quantity in stored or {QUANTITY[node.scene.role]: Counter()}:
            counts = stored.get(quantity, Counter())
            missing += sum(slot not in counts for slot in wanted)
            extra = sum(n - 1 for slot, n in counts.items() if slot in wanted)
            if excused.get(node.node_id) in counts:
                extra -= counts[excused[node.node_id]] - 1
            result.duplicated += extra
            result.stored += sum(n for slot, n in counts.items() if slot in wanted)
        if not stored:
            missing = slots * node.scene.readings
        result.sensed += slots * node.scene.readings
        result.lost += missing
        if missing:
            result.by_node[node.node_id] = missing
        given = sum(value for _, value in node.scene.given[:slots])
        last_us = (first + slots) * HOUR
        if node.node_id not in excused and total_stored(database, node, last_us) != given:
            result.wrong += 1
    return result
