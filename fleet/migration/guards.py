"""Triggers: what is on record is never changed, for whoever writes to the database.

The migration has the same texts; a test holds both to each other.
"""

from fleet.db import triggers
from fleet.db.triggers import Rule
from fleet.migration.ledger_tables import BillLine

_NEVER = "{what} is on record: it is never changed"
# Of a segment only its end may be added, once.
_FIXED = (
    "asset_id", "register", "number", "terminal_id", "kind", "pair", "from_us", "unit",
    "decimals", "clock_shift_s", "step", "first_us", "first_raw", "base_index", "start_index",
    "evidence_id",
)  # fmt: skip
_CHANGED = " OR ".join(f"NEW.{name} <> OLD.{name}" for name in _FIXED)
_BILLED = (
    "EXISTS (SELECT 1 FROM bill_lines l WHERE l.asset_id = NEW.asset_id"
    " AND l.register = NEW.register AND (l.to_us > NEW.to_us OR l.to_index > NEW.end_index))"
)
# Another one follows it then: who closed the bill had not seen it.
_ENDED = (
    "SELECT 1 FROM register_segments s WHERE s.asset_id = NEW.asset_id"
    " AND s.register = NEW.register AND s.number = NEW.segment_no AND s.to_us < NEW.to_us"
)
_RULES = (
    Rule("evidence", "kept", "UPDATE", "1 = 1", _NEVER.format(what="evidence")),
    Rule("evidence", "stays", "DELETE", "1 = 1", _NEVER.format(what="evidence")),
    Rule("bill_lines", "kept", "UPDATE", "1 = 1", _NEVER.format(what="a bill line")),
    Rule("bill_lines", "stays", "DELETE", "1 = 1", _NEVER.format(what="a bill line")),
    Rule("register_segments", "stays", "DELETE", "1 = 1", _NEVER.format(what="a segment")),
    Rule(
        "register_segments", "kept", "UPDATE",
        (f"OLD.to_us IS NOT NULL OR COALESCE(NEW.modulus, 0) <> COALESCE(OLD.modulus, 0)"
        f" OR {_CHANGED}"),
        "a segment is only ended, once",
    ),
    Rule(
        "register_segments", "billed", "UPDATE", f"NEW.to_us IS NOT NULL AND {_BILLED}",
        "a segment does not end before what is billed",
    ),
    Rule(
        "bill_lines", "late", "INSERT", f"EXISTS ({_ENDED})",
        "a bill line does not rest on a segment that had ended before",
    ),
)  # fmt: skip


def names() -> list[str]:
    """Of all triggers."""
    return [rule.trigger for rule in _RULES]


triggers.attach(BillLine.metadata, _RULES)
