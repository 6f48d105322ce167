"""What befell the demo's nodes: their events, with what was measured, as lines for a person."""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from fleet.wire.quantity import EVENT, EVENTS, QUANTITIES
from hil.virtual.node import VirtualNode

SAMPLING = 56
WEATHER = ("quiet", "rising", "storm")
MOST = 8  # lines of one node

FIND = """
    SELECT time_us, quantity, value FROM readings
    WHERE terminal_id = ? AND (quantity >= 1000 OR quantity = 56) ORDER BY time_us, id LIMIT ?
"""
BESIDE = """
    SELECT quantity, value FROM readings
    WHERE terminal_id = ? AND time_us = ? AND quantity < 900 AND quantity <> 56
    AND instr(?, ',' || quantity || ',') = 0
"""


def lines(database: Path, nodes: Iterable[VirtualNode]) -> Iterator[str]:
    """A heading for each node that has something to tell, and its lines, by the virtual clock."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        for node in nodes:
            rows = connection.execute(FIND, (node.node_id, MOST)).fetchall()
            if rows:
                yield f"{node.scene.role} {node.node_id}"
            usual = "".join(f",{quantity}," for quantity in node.scene.quantities)
            for at, quantity, value in rows:
                clock = time.strftime("%m-%d %H:%M", time.gmtime(at // 1_000_000))
                if quantity == SAMPLING:
                    yield f"  {clock} samples as in {WEATHER[value % 3]} weather"
                    continue
                text = f"  {clock} {event(quantity)} {'begins' if value else 'ends'}"
                if value and usual:
                    beside = connection.execute(BESIDE, (node.node_id, at, usual)).fetchall()
                    text += "".join(f", {measured(*each)}" for each in beside)
                yield text


def event(quantity: int) -> str:
    """The name of an event's quantity."""
    return EVENTS.get(quantity - EVENT, str(quantity)).replace("_", " ")


def measured(quantity: int, value: int) -> str:
    """A value with its name and unit."""
    name, unit, decimals = QUANTITIES.get(quantity, (str(quantity), "", 0))
    return f"{name.replace('_', ' ')} {value / 10**decimals:.{decimals}f} {unit}".rstrip()
