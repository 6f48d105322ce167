"""`kapok migrate` from work orders to the audit: a programme by commands alone."""

import contextlib
import functools
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from cli_rig import out, out_json, refusal, run
from cryptography.hazmat.primitives import serialization
from ledger_rig import DAY, HOUR, Town

from fleet.migration import states
from fleet.migration.evidence_key import KEY
from fleet.registry.labels import LabelText
from fleet.registry.operations import now_us

IMEI, ICCID = "867997041234567", "89860318040000000019"


_load = functools.cache(serialization.load_pem_private_key)


@pytest.fixture(autouse=True)
def _key_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL proves a private key whenever it reads one, which takes longer than a command."""
    monkeypatch.setattr(serialization, "load_pem_private_key", _load)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "data"
    out(made, "init")
    return made


@pytest.fixture
def data(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "data"))


@pytest.fixture
def town(data: Path) -> Iterator[Town]:
    """Two meters that have reported for four days."""
    made = Town(data, 2)
    made.now = now_us() - 5 * DAY
    for _ in range(4):
        made.now += DAY
        for place in range(2):
            made.flow(700, place)
            made.report(made.old(place), place=place)
    with made.database.begin() as session:
        session.connection().exec_driver_sql(
            f"UPDATE terminals SET imei = '{IMEI}', iccid = '{ICCID}' WHERE id = '{made.old()}'"  # noqa: S608
        )
        session.connection().exec_driver_sql("UPDATE migration_items SET path = 'replacement'")
    out(data, "migrate", "ledger", "policy", "2g", "--dual", "0s", "--compared", "1",
        "--back", "0s")  # fmt: skip
    yield made
    made.close()


def ready(data: Path) -> None:
    for name in ("whitelist", "firmware", "spare"):
        out(data, "migrate", "work", "ready", "2g", "--check", name)
    said = out_json(data, "migrate", "work", "ready", "2g")
    assert [one["why"] for one in said["waits"]] == ["not passed: keys"] * 2
    said = out_json(data, "migrate", "work", "ready", "2g", "--check", "keys")
    assert len(said["ready"]) == 2


def done(data: Path, town: Town, place: int = 0, *more: Any) -> str:
    new = town.add_terminal(since=town.flowed[town.assets[place]] - 12)
    order = out_json(data, "migrate", "work", "list", "2g")[place]["id"]
    old = IMEI if place == 0 else town.old(place)
    out(data, "migrate", "work", "done", order, "--old", old, "--new", LabelText(new).encode(),
        "--final", f"{town.raw(town.old(place), place) / 1000:.3f}", "--initial", "0.012",
        "--person", "Chen", *more)  # fmt: skip
    return new


def reported(town: Town, new: str, place: int = 0) -> None:
    town.now = now_us()
    town.flow(3, place)
    town.report(town.old(place), new, place=place)


def test_a_programme_goes_through_by_commands(data: Path, town: Town) -> None:
    ready(data)
    assert (data / "pki" / KEY).stat().st_mode & 0o777 == 0o600
    orders = out_json(data, "migrate", "work", "list", "2g")
    assert [one["imei"] for one in orders] == [IMEI, ""]
    out(data, "migrate", "work", "start", orders[0]["id"], "--person", "Chen")
    assert "with Chen" in refusal(
        data, "migrate", "work", "start", orders[0]["id"], "--person", "Wu"
    )
    photo = data.parent / "dials.jpg"
    photo.write_bytes(b"a photo")
    new = done(data, town, 0, "--photo", photo)
    assert town.state() == states.INSTALLED
    said = out_json(data, "migrate", "cutover", "2g")
    assert "waits" in said["waits"][0]["why"]
    reported(town, new)
    (moved,) = out_json(data, "migrate", "cutover", "2g")["cut over"]
    assert moved["index"] == town.flowed[town.assets[0]]
    said = out_json(data, "migrate", "decommission", "2g")
    assert "freeze" in said["waits"][0]["why"]
    reported(town, new)
    assert out_json(data, "migrate", "ledger", "freeze", "2g")["lines"] == 2
    assert out_json(data, "migrate", "ledger", "freeze", "2g")["lines"] in (0, 2)
    assert out_json(data, "migrate", "decommission", "2g")["decommissioned"] == [{"item": 1}]
    (asked,) = out_json(data, "migrate", "decommission", "--pending")
    assert asked["iccid"] == ICCID
    assert out_json(data, "migrate", "decommission", "--confirm-sim", ICCID) == {"confirmed": 1}
    out(data, "migrate", "decommission", "--confirm-alias", IMEI)
    assert out_json(data, "migrate", "decommission", "--pending") == []
    assert "was let go" in refusal(data, "migrate", "decommission", "--confirm-sim", "8986")
    shown = out_json(data, "migrate", "ledger", "show", town.assets[0])
    assert [one["terminal"] for one in shown["segments"]] == [town.old(), new]
    assert "gas" not in out(data, "migrate", "ledger", "show", town.assets[0])
    assert out_json(data, "migrate", "ledger", "items", "2g")["counts"] == {
        "decommissioned": 1, "ready": 1,
    }  # fmt: skip
    found = out_json(data, "migrate", "audit", "2g")
    assert found["ok"]
    assert found["breach"] is None
    assert "all hold" in out(data, "migrate", "audit", "2g", "--head", found["head"])
    assert "no head" in refusal(data, "migrate", "audit", "2g", "--head", "7")
    state = "SELECT state FROM terminals WHERE id = ?"
    assert rig.query(town.path, state, town.old()) == [("retired",)]


def test_what_is_refused_exits_1_and_what_waits_does_not(data: Path, town: Town) -> None:
    for name in ("whitelist", "firmware", "spare", "keys"):
        said = out_json(data, "migrate", "work", "ready", "2g", "--wave", 9, "--check", name)
    assert said == {"ready": [], "waits": [], "refused": []}
    with town.database.begin() as session:
        session.connection().exec_driver_sql(
            "DELETE FROM readings WHERE asset_id = ?", (town.assets[1],)
        )
    for name in ("whitelist", "firmware", "spare"):
        out(data, "migrate", "work", "ready", "2g", "--check", name)
    result = run(data, "migrate", "work", "ready", "2g", "--check", "keys", "--json")
    assert result.exit_code == 1
    assert "1 item(s) refused" in result.stderr
    told = json.loads(result.stdout)
    assert told["ready"] == [{"item": 1}]
    assert [one["item"] for one in told["refused"]] == [2]
    assert told["waits"] == []


def test_a_terminal_that_may_come_back_waits_to_be_let_go(data: Path, town: Town) -> None:
    out(data, "migrate", "ledger", "policy", "2g", "--back", "10d")
    ready(data)
    new = done(data, town)
    reported(town, new)
    out(data, "migrate", "cutover", "2g")
    reported(town, new)
    out(data, "migrate", "ledger", "freeze", "2g")
    said = out_json(data, "migrate", "decommission", "2g")
    assert said["decommissioned"] == said["refused"] == []
    assert "may be rolled back until" in said["waits"][0]["why"]


def test_all_that_nobody_confirmed_is_listed(data: Path, town: Town) -> None:
    """The list ended at 1,000."""
    with contextlib.closing(sqlite3.connect(town.path)) as connection, connection:
        connection.executemany(
            "INSERT INTO decommissioned (item_id, terminal_id, at_us, iccid, alias, revoked,"
            " evidence_id) VALUES (?, ?, 0, NULL, ?, 0, 1)",
            [(number, town.old(), str(number)) for number in range(1, 2003)],
        )
    asked = out_json(data, "migrate", "decommission", "--pending")
    assert [one["item_id"] for one in asked] == list(range(1, 2003))


def test_what_was_done_in_a_basement_comes_in_once(data: Path, town: Town) -> None:
    ready(data)
    queue = data.parent / "acts.jsonl"
    done(data, town, 0, "--queue", queue)
    done(data, town, 1, "--queue", queue, "--mode", "instead")
    assert town.state() == states.READY
    first = out_json(data, "migrate", "work", "replay", queue)
    assert [one["repeated"] for one in first] == [False, False]
    assert town.state(0) == town.state(1) == states.INSTALLED
    assert next(one.terminal_id for one in town.segments(1)) == town.old(1)
    assert len(town.segments(1)) == 2
    again = out_json(data, "migrate", "work", "replay", queue)
    assert [one["repeated"] for one in again] == [True, True]
    lines = [json.loads(line) for line in queue.read_text().splitlines()]
    queue.write_text(json.dumps({**lines[0], "note": "another"}) + "\nno act\n")
    result = run(data, "migrate", "work", "replay", queue)
    assert result.exit_code == 1
    assert "copied id" in result.stdout
    assert "no act of kapok migrate work" in result.stdout


def test_a_rollback_by_command_and_by_a_visit(data: Path, town: Town) -> None:
    ready(data)
    new = done(data, town)
    reported(town, new)
    out(data, "migrate", "ledger", "policy", "2g", "--back", "10d")
    out(data, "migrate", "cutover", "2g", "--item", 1)
    reported(town, new)
    order = out_json(data, "migrate", "work", "send-back", 1)["order"]
    out(data, "migrate", "work", "done", order, "--old", IMEI)
    assert town.state() == states.ROLLED_BACK
    assert town.index() == town.flowed[town.assets[0]]
    assert out_json(data, "migrate", "work", "ready", "2g")["ready"] == [{"item": 1}]
    said = out_json(data, "migrate", "rollback", "2g", "--item", 1, "--reason", "no spare")
    assert said["rolled back"] == [{"item": 1, "index": None}]
    text = refusal(data, "migrate", "rollback", "2g", "--item", 1, "--reason", "again")
    assert "is not" in text
    assert out_json(data, "migrate", "audit", "2g")["ok"]


def test_an_audit_that_fails_names_the_breach(data: Path, town: Town) -> None:
    ready(data)
    town.now = now_us() + HOUR
    with town.database.begin() as session:
        raw = session.connection()
        raw.exec_driver_sql("DROP TRIGGER evidence_kept")
        raw.exec_driver_sql("UPDATE evidence SET person = 'Mallory' WHERE id = 2")
    result = run(data, "migrate", "audit", "2g", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["breach"]["invariant"] == "E"
    assert result.stderr.startswith("kapok: E")
    (data / "pki" / f"{KEY}.pub").unlink()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("audit", "nothing"), "no programme"),
        (("cutover", "2g", "--item", 99), "item 99"),
        (("work", "done", 99, "--old", "x"), "no work order 99"),
        (("ledger", "show", 99), "not in the ledger"),
        (("ledger", "policy", "2g", "--compared", 0), "compared 0"),
    ],
)
def test_refusals_are_one_line(
    data: Path, town: Town, words: tuple[object, ...], text: str
) -> None:
    assert text in refusal(data, "migrate", *words)


def test_a_change_of_the_billed_terminal_by_command(data: Path, town: Town) -> None:
    ready(data)
    asset, shown = town.assets[0], town.raw(town.old())
    words = ("migrate", "ledger", "change", asset, "--kind", "clock", "--clock-shift", 60)
    assert "--last N" in refusal(data, *words, "--first", shown)
    said = out_json(data, *words, "--last", shown, "--first", shown)
    assert (said["unit"], said["decimals"], said["clock_shift_s"]) == ("m3", 3, 60)
    assert out_json(data, "migrate", "audit", "2g")["ok"]


def test_a_wrong_place_is_refused(data: Path, town: Town) -> None:
    ready(data)
    order = out_json(data, "migrate", "work", "list", "2g")[0]["id"]
    text = refusal(data, "migrate", "work", "done", order, "--old", town.old(1))
    assert "is this the right place?" in text
    assert "no terminal is known" in refusal(
        data, "migrate", "work", "done", order, "--old", "867997041234568"
    )
