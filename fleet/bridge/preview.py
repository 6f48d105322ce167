"""What a mapping would make of a source's next rows: the real thing, of which nothing stays."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select

from fleet.bridge import pump
from fleet.bridge.mapping import Rules
from fleet.bridge.pump import Taken
from fleet.bridge.rows import Batch, Row, Source
from fleet.bridge.times import iso_text
from fleet.db.base import Database
from fleet.registry.operations import now_us
from fleet.registry.tables import Asset, Installation
from fleet.telemetry.operations import QUALITIES, quantity_name, written


class Seen(NamedTuple):
    """A row: whose it is, what it says and what would become of it (`outcome`), or why not."""

    place: str
    terminal: str
    asset: str
    time: str
    values: tuple[str, ...]
    quality: str
    outcome: str
    why: str


class Preview(NamedTuple):
    """`unread`: columns that the mapping does not use."""

    rows: list[Seen]
    unread: list[str]
    missing: list[str]


def look(database: Database, source: Source, rules: Rules, cursor: str, most: int) -> Preview:
    """The next rows, up to `most`; SourceGone, BridgeError."""
    batch = source.read(cursor)
    with database.begin() as session:
        taken = pump.take(session, batch.rows[:most], rules, now_us())
        rows = session.execute(
            select(Installation.terminal_id, Asset.name)
            .join(Asset, Asset.id == Installation.asset_id)
            .where(Installation.open_for.in_([one.stored.terminal_id for one in taken]))
        )
        named = {terminal_id: name for terminal_id, name in rows}  # noqa: C416
        session.rollback()
    seen = [_seen(one, named) for one in taken]
    seen += [_bad(batch, number) for number in range(min(len(batch.bad), most))]
    there = _columns(batch.rows[:most])
    unread = [name for name in there if name not in rules.columns]
    missing = [name for name in rules.columns if there and name not in there]
    return Preview(seen, unread, missing)


def _seen(one: Taken, named: dict[str, str]) -> Seen:
    said, stored = one.said, one.stored
    if said is None:
        return Seen(one.row.place, "", "", "", (), "", "dead" if one.why else "skipped", one.why)
    values = tuple(
        f"{quantity_name(value.quantity)} {written(value.quantity, value.value)}"
        for value in said.values
    )
    first = said.values[0]
    outcome = "dead" if one.why else "new" if stored.new else "again"
    if stored.conflicts:
        outcome = "conflict"
    terminal = stored.terminal_id or said.source.address
    return Seen(
        one.row.place, terminal, named.get(stored.terminal_id, ""), iso_text(first.time_us),
        values, QUALITIES[first.quality], outcome, one.why,
    )  # fmt: skip


def _bad(batch: Batch, number: int) -> Seen:
    bad = batch.bad[number]
    return Seen(bad.row.place, "", "", "", (), "", "dead", bad.why)


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.cells))
