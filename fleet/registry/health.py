"""What nodes say of their own health, in the caller's transaction: crashes and log entries come
in as words of quantities 910 to 921, and are read back here.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from fleet.registry import modules
from fleet.registry.health_tables import Crash, NodeLog
from fleet.wire import logcode

CRASH, MODULE, LINE, HEAP, CAUSE = 910, 911, 912, 913, 914  # quantities
LOG, ARGUMENT = 920, 921
_OF_32_BITS = (CRASH, MODULE, ARGUMENT)  # CRC-32, and what a log entry holds
_WIDE, _NARROW = (1 << 32) - 1, (1 << 31) - 1  # the most that their columns take, and others'
QUANTITIES = range(CRASH, ARGUMENT + 1)
KEPT = 500  # entries of one node's log, and crashes of it: the newest
PAGE = 1000
CAUSES = {1: "power-on", 2: "hard", 3: "watchdog", 4: "deep-sleep", 5: "soft"}


class Words(Protocol):
    """As much of fleet.uplink.own_words.Words as is read here."""

    @property
    def node_id(self) -> str:
        """Who says so."""

    @property
    def epoch(self) -> int:
        """Of its journal."""

    @property
    def sequence(self) -> int:
        """Of the record."""

    @property
    def time_s(self) -> int:
        """By the node's clock, s since 1970."""

    @property
    def values(self) -> Mapping[int, int]:
        """By quantity."""

    @property
    def received_us(self) -> int:
        """By the fleet's."""


class Entry(NamedTuple):
    """An entry of a node's log."""

    at_us: int
    name: str
    argument: int
    means: str


class Fault(NamedTuple):
    """A crash, or all that have the same traceback: `nodes` of them, the newest at `at_us`."""

    traceback: str
    module: str
    line: int
    heap: int
    cause: str
    at_us: int
    times: int
    nodes: int


def told(session: Session, words: Sequence[Words]) -> None:
    """Keep the crashes and log entries among `words`; each record comes here once."""
    touched: dict[type[Crash] | type[NodeLog], set[str]] = {Crash: set(), NodeLog: set()}
    for one in words:
        key = {
            "node_id": one.node_id, "epoch": one.epoch, "sequence": one.sequence,
            "at_us": one.time_s * 1_000_000, "received_us": one.received_us,
        }  # fmt: skip
        values = {
            code: _bounded(value, _WIDE if code in _OF_32_BITS else _NARROW)
            for code, value in one.values.items()
        }
        if CRASH in values:
            numbers = [values.get(code, 0) for code in (CRASH, MODULE, LINE, HEAP, CAUSE)]
            names = ("traceback", "module", "line", "heap", "cause")
            session.add(Crash(**key, **dict(zip(names, numbers, strict=True))))
            touched[Crash].add(one.node_id)
        elif LOG in values:
            session.add(NodeLog(**key, code=values[LOG], argument=values.get(ARGUMENT, 0)))
            touched[NodeLog].add(one.node_id)
    session.flush()
    for table, nodes in touched.items():
        for node_id in nodes:
            _trim(session, table, node_id)


def log_of(session: Session, node_id: str, limit: int = PAGE) -> list[Entry]:
    """A node's log as far as it was pulled, the newest entry first."""
    rows = session.scalars(
        select(NodeLog)
        .where(NodeLog.node_id == node_id)
        .order_by(NodeLog.at_us.desc(), NodeLog.sequence.desc())
        .limit(min(limit, PAGE))
    )
    unknown = ("", "")
    return [
        Entry(row.at_us, name or str(row.code), row.argument, means)
        for row in rows
        for name, means in (logcode.CODES.get(row.code, unknown),)
    ]


def crashes_of(session: Session, node_id: str, limit: int = PAGE) -> list[Fault]:
    """A node's crashes, the newest first."""
    rows = session.scalars(
        select(Crash)
        .where(Crash.node_id == node_id)
        .order_by(Crash.at_us.desc())
        .limit(min(limit, PAGE))
    )
    return [_fault(row, row.at_us, 1, 1) for row in rows]


def faults(session: Session, since_us: int, limit: int = PAGE) -> list[Fault]:
    """Crashes since then of all nodes, the same ones together: what hits most nodes first."""
    nodes = func.count(Crash.node_id.distinct())
    rows = session.execute(
        select(
            Crash.traceback, Crash.module, Crash.line, func.min(Crash.heap).label("heap"),
            Crash.cause, func.max(Crash.at_us).label("at_us"), func.count().label("times"),
            nodes.label("nodes"),
        )
        .where(Crash.received_us >= since_us)
        .group_by(Crash.traceback, Crash.module, Crash.line, Crash.cause)
        .order_by(nodes.desc(), func.count().desc())
        .limit(min(limit, PAGE))
    )  # fmt: skip
    return [_fault(row, row.at_us, row.times, row.nodes) for row in rows]


class _Numbers(Protocol):
    traceback: int
    module: int
    line: int
    heap: int
    cause: int


def _fault(row: "_Numbers | Crash | object", at_us: int, times: int, nodes: int) -> Fault:
    found: _Numbers = row  # type: ignore[assignment]
    line = modules.line(found.module, found.line)
    return Fault(
        f"{found.traceback:08x}", modules.name(found.module), line, found.heap,
        CAUSES.get(found.cause, str(found.cause)), at_us, times, nodes,
    )  # fmt: skip


def _bounded(value: int, most: int) -> int:
    # What a node sends is its own affair; a column takes so much.
    return max(-(1 << 31), min(value, most))


def _trim(session: Session, table: type[Crash] | type[NodeLog], node_id: str) -> None:
    oldest = session.scalar(
        select(table.at_us)
        .where(table.node_id == node_id)
        .order_by(table.at_us.desc())
        .offset(KEPT)
        .limit(1)
    )
    if oldest is not None:
        session.execute(delete(table).where(table.node_id == node_id, table.at_us <= oldest))
