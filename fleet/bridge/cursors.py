"""How far each source is read, and how it stands: one row each, in the caller's transaction."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from fleet.alarms import operations as alarms
from fleet.bridge.errors import BridgeError
from fleet.bridge.tables import BridgeSource

KIND = "bridge"  # of its alarm
ALARM_AFTER_US = 10 * 60 * 1_000_000  # what cannot be read for so long is worth an alarm


class Counts(NamedTuple):
    """Of a batch: rows read, and what became of their readings; `dead` are rows."""

    rows: int = 0
    stored: int = 0
    again: int = 0
    conflicts: int = 0
    dead: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(*(one + two for one, two in zip(self, other, strict=True)))


def open_source(session: Session, name: str, kind: str) -> BridgeSource:
    """Its row, made where there is none. BridgeError: the name is of a source of another kind,
    whose cursor means something else.
    """
    row = session.get(BridgeSource, name)
    if row is None:
        session.execute(insert(BridgeSource).values(name=name, kind=kind, cursor=""))
        row = session.get_one(BridgeSource, name)
    if row.kind != kind:
        raise BridgeError(f"bridge {name} reads a {row.kind}: give this {kind} another name")
    return row


def at(session: Session, name: str) -> str:
    """How far it is read; empty: nothing yet."""
    return session.get_one(BridgeSource, name).cursor


def known(session: Session, name: str) -> BridgeSource:
    """Its row; BridgeError where nothing was ever read under that name."""
    row = session.get(BridgeSource, name)
    if row is None:
        raise BridgeError(f"there is no bridge {name[:40]!r}: kapok bridge list")
    return row


def rewind(session: Session, name: str) -> str:
    """Read it from its beginning again; its kind. BridgeError."""
    kind = known(session, name).kind
    session.execute(update(BridgeSource).where(BridgeSource.name == name).values(cursor=""))
    return kind


def keep(session: Session, name: str, cursor: str, counts: Counts, read_us: int | None) -> None:
    """All before `cursor` is taken in. `read_us`: now, when nothing more was there."""
    row = session.get_one(BridgeSource, name)
    changed: dict[str, object] = {
        "cursor": cursor, "rows": row.rows + counts.rows, "stored": row.stored + counts.stored,
        "again": row.again + counts.again, "conflicts": row.conflicts + counts.conflicts,
        "dead": row.dead + counts.dead, "failing_us": None, "error": "",
    }  # fmt: skip
    if read_us is not None:
        changed["read_us"] = read_us
    session.execute(update(BridgeSource).where(BridgeSource.name == name).values(changed))
    if row.failing_us is not None:
        alarms.clear(session, KIND, name)


def failed(session: Session, name: str, error: str, now_us: int) -> None:
    """It cannot be read; an alarm when that lasts."""
    row = session.get_one(BridgeSource, name)
    since = row.failing_us or now_us
    session.execute(
        update(BridgeSource)
        .where(BridgeSource.name == name)
        .values(failing_us=since, error=error[:200])
    )
    if now_us - since >= ALARM_AFTER_US:
        detail: Mapping[str, str | int] = {"bridge": name, "since": since, "reason": error[:200]}
        alarms.raise_alarm(session, KIND, name, detail)


def list_(session: Session) -> list[BridgeSource]:
    """All sources by name."""
    return list(session.scalars(select(BridgeSource).order_by(BridgeSource.name)))
