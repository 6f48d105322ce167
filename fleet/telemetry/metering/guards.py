"""Triggers: what was read and what was exported is never changed, for whoever writes.

The migration has the same texts; a test holds both to each other.
"""

from fleet.db import triggers
from fleet.db.triggers import Rule
from fleet.telemetry.metering.bill_tables import BillShare

_SEALED = (
    "EXISTS (SELECT 1 FROM bill_exports e WHERE e.id = NEW.export_id AND e.digest IS NOT NULL)"
)
_RULES = (
    Rule("daily_reads", "kept", "UPDATE", "1 = 1", "a daily read is never changed, only revised"),
    Rule("daily_reads", "stays", "DELETE", "1 = 1", "a daily read is never changed, only revised"),
    Rule(
        "bill_exports", "kept", "UPDATE",
        ("OLD.digest IS NOT NULL OR NEW.scope <> OLD.scope OR NEW.number <> OLD.number"
         " OR NEW.from_us <> OLD.from_us OR NEW.to_us <> OLD.to_us"),
        "an export is only sealed, once",
    ),
    Rule("bill_exports", "stays", "DELETE", "1 = 1", "an export is never changed"),
    Rule("bill_export_pages", "kept", "UPDATE", "1 = 1", "an export is never changed"),
    Rule("bill_export_pages", "stays", "DELETE", "1 = 1", "an export is never changed"),
    Rule("bill_export_pages", "sealed", "INSERT", _SEALED, "an export is never changed"),
    Rule("bill_shares", "kept", "UPDATE", "1 = 1", "an export is never changed"),
    Rule("bill_shares", "stays", "DELETE", "1 = 1", "an export is never changed"),
    Rule("bill_shares", "sealed", "INSERT", _SEALED, "an export is never changed"),
)  # fmt: skip


def names() -> list[str]:
    """Of all triggers."""
    return [rule.trigger for rule in _RULES]


triggers.attach(BillShare.metadata, _RULES)
