"""The meters behind DTUs and RTUs come in: each is an asset of its own, found by its address."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.errors import Refusal
from fleet.migration import columns
from fleet.migration.inventory_tables import LegacyTerminal
from fleet.migration.networks import Taken
from fleet.migration.sheets import Sheet
from fleet.registry import legacy_behind
from fleet.registry.legacy_behind import Meter

NEEDED = ("terminal", "asset", "kind", "address")


def take(session: Session, sheet: Sheet) -> Iterator[Taken]:
    """Terminal (the DTU's number), asset, kind and address of each meter; again is the same."""
    for line in sheet:
        number = line.get("terminal")
        terminal_id = session.scalar(
            select(LegacyTerminal.terminal_id).where(LegacyTerminal.number == number)
        )
        if terminal_id is None:
            why = f"terminal {number[:40]!r} is not in the inventory: bring it in first"
            yield Taken(line.number, "refused", why)
            continue
        kind = columns.word(line.get("kind"))
        try:
            meter = Meter(terminal_id, line.get("asset"), kind, line.get("address"))
            is_new = legacy_behind.put(session, meter)
        except Refusal as e:
            yield Taken(line.number, "refused", str(e))
            continue
        yield Taken(line.number, "taken" if is_new else "same", "")
