"""How an old terminal's register is read, as far as its inventory's line tells."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.migration.breaches import LedgerError
from fleet.migration.inventory_tables import LegacyTerminal
from fleet.migration.ledger import Key
from fleet.migration.scaling import Meaning, check, plain, scaled

_AT_ONCE = 500


def of_inventory(session: Session, terminals: Mapping[Key, str]) -> dict[int, Meaning]:
    """By asset: of those whose terminal's line says digits and decimals.

    Readings come in as whole numbers of the register's quantity, whatever the dial shows; so a
    dial of 8 digits with 2 decimals begins anew at 10**9 litres and moves by 10 at once.
    """
    ids = sorted(set(terminals.values()))
    rows: dict[str, LegacyTerminal] = {}
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        for row in session.scalars(
            select(LegacyTerminal).where(
                LegacyTerminal.terminal_id.in_(part), LegacyTerminal.digits.is_not(None)
            )
        ):
            rows[row.terminal_id] = row
    found = {}
    for (asset_id, register), terminal_id in terminals.items():
        told = rows.get(terminal_id)
        meaning = None if told is None else _meaning(told, register)
        if meaning is not None:
            found[asset_id] = meaning
    return found


def _meaning(row: LegacyTerminal, register: int) -> Meaning | None:
    if not row.digits or row.decimals is None:
        return None
    whole = plain(register)
    dial = Meaning(row.unit or whole.unit, row.decimals)
    try:
        check(dial, register)
    except LedgerError:
        return None  # the line speaks of something else than what is billed
    modulus, step = (scaled(counts, dial, register) for counts in (10**row.digits, 1))
    if modulus < 10:
        return None
    return whole._replace(modulus=modulus, step=max(1, step))
