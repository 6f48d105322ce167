"""Triggers that refuse a change, whoever writes: their statements for each database, and their
making together with the tables.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, MetaData, Table, event


class Rule(NamedTuple):
    """`condition`: SQL on OLD and NEW under which an `act` (INSERT, UPDATE or DELETE) on a row of
    `table` is refused with `text`.
    """

    table: str
    name: str
    act: str
    condition: str
    text: str

    @property
    def trigger(self) -> str:
        """Its name in the database."""
        return f"{self.table}_{self.name}"


def statements(rule: Rule, dialect: str) -> list[str]:
    """Those that make it; `dialect` is sqlite or postgresql."""
    table, _, act, condition, text = rule
    if dialect == "sqlite":
        raising = f"SELECT RAISE(ABORT, '{text}')"
        head = f"CREATE TRIGGER IF NOT EXISTS {rule.trigger} BEFORE {act} ON {table}"
        return [f"{head} WHEN {condition} BEGIN {raising}; END"]
    function = f"CREATE OR REPLACE FUNCTION {rule.trigger}() RETURNS trigger AS $$ BEGIN"
    raising = f"IF {condition} THEN RAISE EXCEPTION '{text}'; END IF; RETURN NEW"
    head = f"CREATE OR REPLACE TRIGGER {rule.trigger} BEFORE {act} ON {table}"
    return [
        f"{function} {raising}; END $$ LANGUAGE plpgsql",
        f"{head} FOR EACH ROW EXECUTE FUNCTION {rule.trigger}()",
    ]


def attach(metadata: MetaData, rules: Sequence[Rule]) -> None:
    """Make each rule's trigger whenever the metadata make its table: when all tables are there,
    since a condition may look at others.
    """

    def made(_: MetaData, connection: Connection, tables: Sequence[Table], **__: Any) -> None:
        fresh = {table.name for table in tables}
        for rule in rules:
            if rule.table in fresh:
                for statement in statements(rule, connection.dialect.name):
                    connection.exec_driver_sql(statement)

    event.listen(metadata, "after_create", made)
