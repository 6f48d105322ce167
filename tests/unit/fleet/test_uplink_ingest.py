"""What the ingest lets in, keeps aside and refuses."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_rig import NODE, OTHER, message, open_database, report_of

from fleet.db.base import Database
from fleet.uplink import topics
from fleet.uplink.ingest import Ingest
from fleet.wire import cbor


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path)
    yield database
    database.close()


def letters(folder: Path) -> list[tuple[str, str, bytes]]:
    with closing(sqlite3.connect(folder / "kapok.db")) as connection:
        query = "SELECT node_id, reason, payload FROM dead_letters ORDER BY id"
        return connection.execute(query).fetchall()


def rows(folder: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(folder / "kapok.db")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM readings ORDER BY id")]


def encoded(value: object) -> bytes:
    try:
        return cbor.encode(value)
    except cbor.CborError:
        return b""


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=64)
    | st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=8),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.integers(0, 5), inner),
        max_leaves=12,
    ).map(encoded)
)
def test_attack_any_bytes_give_an_outcome(database: Database, payload: bytes) -> None:
    outcomes = Ingest(database).process([message(payload), message(report_of([1]), OTHER)])
    assert outcomes[0].kind in ("undecodable", "stored", "repeated")
    assert outcomes[1].receipt


@pytest.mark.parametrize(
    "topic",
    [
        "k1/1gntj14d2p/up/report/x",
        "k1/1gntj14d2p/up",
        "k1/1GNTJ14D2P/up/report",
        "k1/1gntj14d2/up/report",
        "k1/zzzzzzzzzz/up/report",
        "k2/1gntj14d2p/up/report",
        "k1/1gntj14d2p/down/receipt",
        "k1//up/report",
        "",
    ],
)
def test_attack_topics_outside_the_grammar_name_no_node(topic: str) -> None:
    assert topics.node_of_report(topic) is None


def test_topics_of_a_node() -> None:
    assert topics.node_of_report(f"k1/{NODE}/up/report") == NODE
    assert topics.receipt_of(NODE) == f"k1/{NODE}/down/receipt"
