"""What the demo tells of its nodes: events by name, with what was measured beside the usual."""

import contextlib
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hil import highlights

AT = 1_780_300_800_000_000  # 2026-06-01 08:00:00 UTC


def make(path: Path, *rows: tuple[int, int, int]) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE readings (id INTEGER PRIMARY KEY, terminal_id, time_us, quantity, value)"
        )
        connection.executemany(
            "INSERT INTO readings (terminal_id, time_us, quantity, value) VALUES ('n1', ?, ?, ?)",
            rows,
        )
    scene = SimpleNamespace(role="drainage", quantities=(2, 12))
    return [SimpleNamespace(node_id=name, scene=scene) for name in ("n1", "n2")]


def test_an_event_has_its_name_its_time_and_its_measure(tmp_path: Path) -> None:
    nodes = make(
        tmp_path / "d", (AT, 2, 1830), (AT, 12, 700), (AT, 1021, 1), (AT, 38, 1240), (AT, 56, 2),
        (AT + 60_000_000, 2, 1830), (AT + 60_000_000, 1021, 0),
    )  # fmt: skip
    assert list(highlights.lines(tmp_path / "d", nodes)) == [
        "drainage n1",
        "  06-01 08:00 level rise begins, level rate 1.240 m/h",
        "  06-01 08:00 samples as in storm weather",
        "  06-01 08:01 level rise ends",
    ]


def test_a_node_without_events_is_not_mentioned_and_one_with_many_is_cut(tmp_path: Path) -> None:
    nodes = make(tmp_path / "d", *((AT + i, 1021, i % 2) for i in range(100)))
    found = list(highlights.lines(tmp_path / "d", nodes))
    assert len(found) == 1 + highlights.MOST
    assert highlights.event(9999) == "9999", "a code of a newer firmware"
