"""What a technician scans or types for a terminal: our label, an IMEI, a terminal's id."""

import re

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.migration.breaches import LedgerError
from fleet.registry.labels import parse
from fleet.registry.tables import Terminal

_IMEI = re.compile("[0-9]{15}")
MOST = 100  # characters


def terminal(session: Session, scanned: str) -> Terminal:
    """The terminal that a scan is of; LedgerError. Plates of old terminals carry their IMEI."""
    text = scanned.strip()
    if not 0 < len(text) <= MOST or not text.isprintable():
        raise LedgerError("a scan is the text of a label, an IMEI, or a terminal's id")
    if text.lower().startswith("kapok:"):
        row = session.get(Terminal, parse(text).node_id)
    elif _IMEI.fullmatch(text):
        row = session.scalar(select(Terminal).where(Terminal.imei == text))
    else:
        row = session.get(Terminal, text.lower()[:10]) if len(text) == 10 else None
    if row is None:
        raise LedgerError(f"no terminal is known by {text[:40]!r}: scan it again, or provision it")
    return row
