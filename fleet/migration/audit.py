"""The proof of a programme: I1 to I7 and the chain of evidence, from what is stored alone. The
first breach is named.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.migration import evidence, invariants, proofs, served
from fleet.migration.breaches import INVARIANTS, Breach, LedgerError
from fleet.migration.desk import parts
from fleet.migration.ledger_tables import BillLine, Evidence, RegisterSegment
from fleet.migration.tables import PLANNED, MigrationItem, MigrationProgramme


class Audit(NamedTuple):
    """What was looked at, by invariant how often; and the first breach, None: all is well. `head`:
    the chain's end as `evidence.head` writes it, for an audit to come; empty: there is none.
    """

    programme: str
    items: int
    assets: int
    segments: int
    lines: int
    facts: int
    checked: Mapping[str, int]
    breach: Breach | None
    head: str = ""

    def as_json(self) -> dict[str, object]:
        """With the breach's names."""
        said = {**self._asdict(), "ok": self.breach is None, "breach": None}
        if self.breach is not None:
            said["breach"] = {**self.breach._asdict(), "means": INVARIANTS[self.breach.invariant]}
        return said


def audit(database: Database, name: str, keys: Mapping[bytes, bytes], kept: str = "") -> Audit:
    """Prove a programme, by its name or id. `keys`: trusted moduli by key id. `kept`: the head of
    an earlier audit, behind which nothing may be missing; LedgerError for one that is none.
    """
    known = evidence.read_head(kept) if kept else None
    with database.read() as session:
        programme = find(session, name)
        items = (
            session.scalar(
                select(func.count())
                .select_from(MigrationItem)
                .where(MigrationItem.programme_id == programme.id)
            )
            or 0
        )
        own = session.scalars(
            select(MigrationItem.asset_id)
            .where(MigrationItem.programme_id == programme.id, MigrationItem.state != PLANNED)
            .distinct()
        )
        assets = served.assets(session, list(own))
        facts = session.scalar(select(func.count()).select_from(Evidence)) or 0
        head = evidence.head(session)
    checked: Counter[str] = Counter(dict.fromkeys(INVARIANTS, 0))
    seen: Counter[str] = Counter()
    breach = next(_breaches(database, assets, programme.id, keys, known, checked, seen), None)
    return Audit(
        programme.name, items, len(assets), seen["segments"], seen["lines"], facts,
        dict(checked), breach, head,
    )  # fmt: skip


def find(session: Session, name: str) -> MigrationProgramme:
    """A programme by its name or id; LedgerError."""
    mine = MigrationProgramme.name == name
    if name.isascii() and name.isdecimal() and len(name) < 10:
        mine = (MigrationProgramme.id == int(name)) | mine
    row = session.scalar(select(MigrationProgramme).where(mine).limit(1))
    if row is None:
        raise LedgerError(f"there is no programme {name[:40]!r}: kapok migrate show lists them")
    return row


def _breaches(
    database: Database, assets: Sequence[int], programme_id: int, keys: Mapping[bytes, bytes],
    known: tuple[int, bytes] | None, checked: Counter[str], seen: Counter[str],
) -> Iterator[Breach]:  # fmt: skip
    with database.read() as session:
        checked["E"] += 1
        broken = evidence.verify(session, keys)
        if broken is not None:
            yield broken
        if known is not None and not evidence.has(session, *known):
            yield Breach("E", None, None, f"fact {known[0]} that was kept is not there any more")
    for part in parts(assets):
        with database.read() as session:
            first = invariants.first(session, part)
            if first is not None:
                yield first
            yield from proofs.breaches(session, part, checked)
            checked["I5"] += len(part)
            seen["segments"] += _count(session, RegisterSegment, part)
            seen["lines"] += _count(session, BillLine, part)
    with database.read() as session:
        yield from proofs.policies(session, programme_id, checked)
        yield from proofs.states(session, programme_id, checked)
        yield from proofs.frozen(session, checked)


def _count(
    session: Session, table: type[RegisterSegment] | type[BillLine], assets: Sequence[int]
) -> int:
    query = select(func.count()).select_from(table).where(table.asset_id.in_(assets))
    return session.scalar(query) or 0
