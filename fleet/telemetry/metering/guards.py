"""Triggers: what was read and what was exported is never changed, for whoever writes.

The migration has the same texts; a test holds both to each other.
"""

from sqlalchemy import DDL, event

from fleet.telemetry.metering.bill_tables import BillShare

_SEALED = (
    "EXISTS (SELECT 1 FROM bill_exports e WHERE e.id = NEW.export_id AND e.digest IS NOT NULL)"
)
# Table, name, event, condition, text.
_RULES = (
    ("daily_reads", "kept", "UPDATE", "1 = 1", "a daily read is never changed, only revised"),
    ("daily_reads", "stays", "DELETE", "1 = 1", "a daily read is never changed, only revised"),
    (
        "bill_exports", "kept", "UPDATE",
        ("OLD.digest IS NOT NULL OR NEW.scope <> OLD.scope OR NEW.number <> OLD.number"
         " OR NEW.from_us <> OLD.from_us OR NEW.to_us <> OLD.to_us"),
        "an export is only sealed, once",
    ),
    ("bill_exports", "stays", "DELETE", "1 = 1", "an export is never changed"),
    ("bill_export_pages", "kept", "UPDATE", "1 = 1", "an export is never changed"),
    ("bill_export_pages", "stays", "DELETE", "1 = 1", "an export is never changed"),
    ("bill_export_pages", "sealed", "INSERT", _SEALED, "an export is never changed"),
    ("bill_shares", "kept", "UPDATE", "1 = 1", "an export is never changed"),
    ("bill_shares", "stays", "DELETE", "1 = 1", "an export is never changed"),
    ("bill_shares", "sealed", "INSERT", _SEALED, "an export is never changed"),
)  # fmt: skip


def names() -> list[str]:
    """Of all triggers."""
    return [f"{table}_{name}" for table, name, *_ in _RULES]


def create(dialect: str) -> list[str]:
    """The statements that make them."""
    made = []
    for table, name, when, condition, text in _RULES:
        if dialect == "sqlite":
            made.append(
                f"CREATE TRIGGER IF NOT EXISTS {table}_{name} BEFORE {when} ON {table}"
                f" WHEN {condition}"
                f" BEGIN SELECT RAISE(ABORT, '{text}'); END"
            )
        else:
            made += [
                (
                    f"CREATE OR REPLACE FUNCTION {table}_{name}() RETURNS trigger AS $$"
                    f" BEGIN IF {condition}"
                    f" THEN RAISE EXCEPTION '{text}'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
                ),
                (
                    f"CREATE OR REPLACE TRIGGER {table}_{name} BEFORE {when} ON {table}"
                    f" FOR EACH ROW EXECUTE FUNCTION {table}_{name}()"
                ),
            ]
    return made


def _ddl(statement: str) -> DDL:
    return DDL(statement)  # type: ignore[no-untyped-call]


for _dialect in ("sqlite", "postgresql"):
    for _statement in create(_dialect):
        # Whichever table is made last: by then all are there.
        event.listen(
            BillShare.metadata, "after_create", _ddl(_statement).execute_if(dialect=_dialect)
        )
