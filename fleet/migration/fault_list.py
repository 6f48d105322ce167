"""What is wrong in the inventory, to be listed until a later import says better."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.migration.inventory_tables import InventoryFault, LegacyTerminal
from fleet.registry.tables import Terminal

PAGE = 1000


class Fault(NamedTuple):
    """`source`: file and line."""

    terminal: str
    area: str
    code: str
    detail: str
    source: str


def faults(session: Session, limit: int = PAGE) -> list[Fault]:
    """By area, code and terminal."""
    rows = session.execute(
        select(
            LegacyTerminal.number, Terminal.area_code, InventoryFault.code, InventoryFault.detail,
            InventoryFault.source,
        )
        .join(Terminal, Terminal.id == InventoryFault.terminal_id)
        .join(LegacyTerminal, LegacyTerminal.terminal_id == Terminal.id)
        .order_by(Terminal.area_code, InventoryFault.code, LegacyTerminal.number)
        .limit(min(limit, PAGE))
    )  # fmt: skip
    return [Fault._make(row) for row in rows]
