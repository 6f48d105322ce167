"""What a node says about itself is no reading; each part hears what concerns it, once."""

from collections.abc import Sequence
from pathlib import Path

import fleet_rig as rig
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from fleet.control import desired
from fleet.db.base import Database
from fleet.registry.tables import Installation
from fleet.uplink import own_words
from fleet.uplink.ingest import Ingest
from fleet.uplink.message import Message
from fleet.uplink.own_words import Words
from fleet.wire import report

TIME = rig.NOW_US // 1_000_000 - 60
CRASH = 910


def message_of(node: str, *records: list[tuple[int, int]]) -> Message:
    """A report of these records, numbered from 1."""
    bodies = [
        (n, report.encode_body(TIME, report.GOOD, values)) for n, values in enumerate(records, 1)
    ]
    return rig.message(node, report.encode(7, TIME, bodies, {}))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[list[Words]]:
    calls: list[list[Words]] = []

    def hear(_session: Session, words: list[Words]) -> None:
        calls.append(words)

    monkeypatch.setattr(own_words, "HEARERS", ((range(900, 903), hear), (range(910, 920), hear)))
    return calls


def readings(path: Path) -> list[tuple[int, int]]:
    return rig.query(path, "SELECT quantity, value FROM readings ORDER BY id")


def test_words_are_heard_and_are_no_readings(
    ingest: Ingest, node: str, path: Path, heard: list[list[Words]]
) -> None:
    sent = message_of(
        node, [(2, 1830)], [(900, 12), (901, 0), (902, 5)], [(2, 1840), (CRASH, 77)], [(950, 1)]
    )
    (outcome,) = ingest.process([sent])
    assert rig.covered(outcome.receipt) == {(7, n) for n in (1, 2, 3, 4)}
    assert readings(path) == [(2, 1830), (2, 1840)]
    items, crashes = heard
    assert [(one.node_id, one.epoch, one.sequence, one.time_s, one.values) for one in items] == [
        (node, 7, 2, TIME, {900: 12, 901: 0, 902: 5})
    ]
    assert [one.values for one in crashes] == [{CRASH: 77}]


def test_a_report_that_comes_twice_is_heard_once(
    ingest: Ingest, node: str, heard: list[list[Words]]
) -> None:
    sent = message_of(node, [(900, 12), (901, 0)])
    assert rig.kinds(ingest.process([sent, sent])) == ["stored", "repeated"]
    assert rig.kinds(ingest.process([sent])) == ["repeated"]
    assert len(heard) == 1


def test_words_need_no_asset(
    ingest: Ingest, node: str, path: Path, database: Database, heard: list[list[Words]]
) -> None:
    """A meter that was taken down still tells what became of its last command."""
    with database.begin() as session:
        placed = session.query(Installation).filter_by(open_for=node).one()
        placed.open_for, placed.from_us, placed.to_us = None, 1, 2
    (outcome,) = ingest.process([message_of(node, [(900, 12), (901, 0)], [(2, 1830)])])
    assert rig.covered(outcome.receipt) == {(7, 1)}
    assert readings(path) == []
    assert [one.sequence for one in heard[0]] == [1]


def test_a_hearer_that_fails_spoils_the_commit(
    ingest: Ingest, node: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it did not take must not be receipted: the node keeps it."""

    def hear(_session: Session, _words: list[Words]) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(own_words, "HEARERS", ((range(900, 903), hear),))
    with pytest.raises(OSError, match="disk full"):
        ingest.process([message_of(node, [(900, 12), (901, 0)], [(2, 1830)])])
    assert readings(path) == []


def test_a_hearer_s_fault_costs_nobody_a_receipt(
    ingest: Ingest, path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is undone, the other node's words are heard, and somebody is told."""
    one, two = rig.add_nodes(database, 2)
    heard: list[str] = []

    def hear(session: Session, words: Sequence[Words]) -> None:
        session.execute(text("UPDATE terminals SET status = '{}'"))
        if any(each.node_id == one for each in words):
            raise KeyError("a fault")
        heard.extend(each.node_id for each in words)

    monkeypatch.setattr(own_words, "HEARERS", ((range(900, 903), hear),))
    records = [(900, 12), (901, 0)], [(2, 1830)]
    outcomes = ingest.process([message_of(one, *records), message_of(two, *records)])
    assert [rig.covered(each.receipt) for each in outcomes] == [{(7, 1), (7, 2)}] * 2
    assert readings(path) == [(2, 1830)] * 2
    assert heard == [two]
    assert rig.query(path, "SELECT status FROM terminals WHERE id = ?", one) == [("{}",)]
    assert rig.query(path, "SELECT kind, subject FROM alarms") == [("ingest", "test_own_words")]


@pytest.mark.parametrize("step", ["told", "look"])
def test_a_fault_in_the_configuration_costs_no_receipt(
    ingest: Ingest, node: str, path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr(desired, step, fail)
    (outcome,) = ingest.process([message_of(node, [(2, 1830)])])
    assert rig.covered(outcome.receipt) == {(7, 1)}
    assert rig.query(path, "SELECT kind FROM alarms") == [("ingest",)]
