"""`kapok migrate send`: what is sent to whom, what is on record of it, and what is refused."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import send_rig as rig
from cli_rig import out, out_json, refusal, run
from click.testing import Result
from sms_modem import SmsModem, modem

from fleet.migration import by_sms, sms

PROGRAMME, T1, T2 = rig.PROGRAMME, "T1", "T2"  # by connection, by SMS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rig.make(tmp_path_factory.mktemp("made") / "data", by_connection=1, by_sms=1)


@pytest.fixture
def data(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sms, "_LOOK_S", 0.01)
    monkeypatch.setattr(sms, "_QUIET_S", 0.05)
    monkeypatch.setattr(by_sms, "_LOOK_S", 0.01)
    monkeypatch.setenv("KAPOK_TERMINAL_PASSWORD", rig.PASSWORD)
    monkeypatch.setenv("KAPOK_PERSON", "Li Wei")
    return Path(shutil.copytree(folder, tmp_path / "data"))


@pytest.fixture
def peer() -> Iterator[SmsModem]:
    def answer(number: str, text: str) -> list[tuple[str, str]]:
        return [(f"+86{number}", f"DONE {text}" if "APN" in text else "OK")]

    with modem(answer) as made:
        yield made


def execute(data: Path, statement: str) -> None:
    with closing(sqlite3.connect(data / "kapok.db")) as connection, connection:
        connection.execute(statement)


def record(data: Path) -> list[dict[str, Any]]:
    """What is on record as configured."""
    with closing(sqlite3.connect(data / "kapok.db")) as connection:
        rows = connection.execute(
            "SELECT body, person FROM evidence WHERE kind = 'configured' ORDER BY id"
        ).fetchall()
    assert {person for _, person in rows} <= {"Li Wei"}
    return [json.loads(body) for body, _ in rows]


def send(data: Path, number: str, *more: object) -> Result:
    words = ("--terminal", number, "--apn", "cm", "--wait", 30)
    return run(data, "migrate", "send", PROGRAMME, *words, *more)


def order_of(data: Path, number: str) -> tuple[int, int, str]:
    """(item, work order, terminal id) of a terminal."""
    with closing(sqlite3.connect(data / "kapok.db")) as connection:
        found: tuple[int, int, str] = connection.execute(
            "SELECT i.id, o.id, i.old_terminal_id FROM migration_items i"
            " JOIN work_orders o ON o.item_id = i.id"
            " JOIN legacy_terminals t ON t.terminal_id = i.old_terminal_id WHERE t.number = ?",
            (number,),
        ).fetchone()
    return found


def test_each_step_goes_by_sms_and_the_end_says_what_comes_next(
    data: Path, peer: SmsModem
) -> None:
    result = send(data, T2, "--modem", peer.path)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:2] == [
        "sms: #***#APN=cm#  -> DONE #***#APN=cm#", "sms: #***#NET=NB#  -> OK",
    ]  # fmt: skip
    assert peer.sent == [
        (rig.number(2), f"#{rig.PASSWORD}#APN=cm#"),
        (rig.number(2), f"#{rig.PASSWORD}#NET=NB#"),
    ]  # fmt: skip
    _, order, terminal = order_of(data, T2)
    said = f"kapok migrate work done {order} --old {terminal}"
    assert lines[2] == f"2 of 2 steps answered as expected; next: {said}"
    out(data, *said.split()[1:])
    assert out_json(data, "migrate", "audit", PROGRAMME)["ok"]


def test_attack_the_password_is_neither_printed_nor_kept(data: Path, peer: SmsModem) -> None:
    result = send(data, T2, "--modem", peer.path, "--json")
    assert rig.PASSWORD not in result.stdout
    assert json.loads(result.stdout)["good"] is True
    kept = record(data)
    assert [(one["step"], one.get("good")) for one in kept] == [
        (1, None), (1, True), (2, None), (2, True),
    ]  # fmt: skip
    assert kept[1]["answer"] == "DONE #***#APN=cm#"
    for file in data.rglob("*"):
        assert not file.is_file() or rig.PASSWORD.encode() not in file.read_bytes(), file
    wrong = run(
        data, "migrate", "send", PROGRAMME, "--terminal", T2, "--apn", "cm", "--password", "p#1"
    )
    assert "needs password" in wrong.stderr
    assert "p#1" not in wrong.stderr


def test_a_step_that_is_answered_otherwise_ends_it_and_it_can_be_taken_back_and_run_again(
    data: Path,
) -> None:
    with modem(lambda number, _: [(number, "ERR 3")]) as peer:
        result = send(data, T2, "--modem", peer.path)
    assert result.exit_code == 1
    assert result.stdout == "sms: #***#APN=cm#  -> ERR 3\n"
    assert result.stderr == (
        "kapok: step 1 of 2 (#***#APN=cm#): answered 'ERR 3'; nothing more was sent: "
        f"kapok migrate send {PROGRAMME} --terminal {T2} --back takes it back\n"
    )
    assert len(peer.sent) == 1
    with modem(lambda number, _: [(number, "OK")]) as peer:
        assert "as it was" in send(data, T2, "--back", "--modem", peer.path).stdout
    with modem(lambda number, _: [(number, "no")]) as peer:
        again = send(data, T2, "--back", "--modem", peer.path)
    assert again.stderr.endswith("run it again, which begins with the first step\n")
    with modem(lambda number, text: [(number, "done" if "APN" in text else "OK")]) as peer:
        assert send(data, T2, "--modem", peer.path).exit_code == 0
    assert len(peer.sent) == 2


def test_a_modem_without_a_network_sent_nothing(data: Path) -> None:
    with modem(says={"CMGS": "\r\n+CMS ERROR: 331\r\n"}) as peer:
        result = send(data, T2, "--modem", peer.path)
    assert result.exit_code == 1
    assert result.stderr.endswith("no network; nothing was sent: run it again\n")
    assert record(data)[1]["was_sent"] is False


def test_what_is_in_place_is_taken_back_by_a_rollback(data: Path, peer: SmsModem) -> None:
    item, order, terminal = order_of(data, T2)
    out(data, "migrate", "work", "done", order, "--old", terminal)
    assert "is installed, not ready" in refused(data, T2, "--modem", peer.path)
    with modem(lambda number, _: [(number, "OK")]) as back:
        said = send(data, T2, "--back", "--modem", back.path).stdout.splitlines()[-1]
    assert f"next: kapok migrate rollback {PROGRAMME} --item {item} --reason" in said
    execute(data, "UPDATE migration_items SET deadline_us = 1")
    assert "its rollback was possible until" in refused(data, T2, "--back", "--modem", peer.path)
    assert peer.sent == []


def refused(data: Path, number: str, *more: object) -> str:
    words = ("--terminal", number, "--apn", "cm", "--wait", 30)
    return refusal(data, "migrate", "send", PROGRAMME, *words, *more)


@pytest.mark.parametrize(
    ("statement", "number", "more", "why"),
    [
        ("", "T9", (), "'T9' is no part of drains"),
        ("", T2, (), "sends by SMS: --modem PORT"),
        ("", T1, ("--modem", "/dev/ttyUSB0"), "by its connection: no --modem"),
        ("", T2, ("--modem", "/dev/ttyUSB99"), "ttyUSB99: is not there"),
        ("", T1, ("--apn", "x y"), "needs apn"),
        ("UPDATE legacy_terminals SET msisdn = ''", T2, ("--modem", "x"), "no number of its card"),
        ("UPDATE migration_items SET path = 'replacement'", T1, (), "only a configuration"),
        ("UPDATE work_orders SET state = 'void'", T1, (), "kapok migrate work ready"),
        ("UPDATE migration_items SET bearer = 'Cat1'", T1, (), "knows no way to Cat1"),
        ("UPDATE tac_models SET configured_by = ''", T1, (), "plug-in '' is unknown"),
        (
            "UPDATE migration_items SET state = 'planned', open_for = NULL", T1, (),
            "is planned, not ready: kapok migrate work ready",
        ),
        (
            "UPDATE migration_items SET state = 'decommissioned', open_for = NULL", T1,
            ("--back",), "nothing to take back",
        ),
    ],
)  # fmt: skip
def test_what_may_not_be_sent_is_refused_in_one_line(
    data: Path, statement: str, number: str, more: tuple[str, ...], why: str
) -> None:
    if statement:
        execute(data, statement)
    assert why in refused(data, number, *more)
    assert record(data) == []
    with closing(sqlite3.connect(data / "kapok.db")) as connection:
        assert connection.execute("SELECT count(*) FROM legacy_orders").fetchone() == (0,)


def test_a_box_that_is_not_connected_is_told_nothing_later_either(data: Path) -> None:
    result = send(data, T1, "--wait", "1")
    assert result.exit_code == 1
    assert "not connected to kapok legacy serve" in result.stderr
    assert result.stderr.endswith("nothing was sent: run it again\n")
    with closing(sqlite3.connect(data / "kapok.db")) as connection:
        rows = connection.execute("SELECT state, person FROM legacy_orders").fetchall()
    assert rows == [("withdrawn", "Li Wei")]


def test_two_commands_at_once_for_one_terminal(data: Path) -> None:
    terminal = order_of(data, T1)[2]
    execute(
        data,
        "INSERT INTO legacy_orders (terminal_id, open_for, state, text, expects, person, made_us,"  # noqa: S608
        f" expires_us, answer) VALUES ('{terminal}', '{terminal}', 'open', 'AT', 'OK', 'Wu', 0,"
        " 9000000000000000, '')",
    )
    assert "by another command" in refused(data, T1)


def test_sabotage_an_item_that_moved_meanwhile_would_be_sent_the_rest(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the look at the item before each step."""
    from fleet.migration import sending

    def played() -> int:
        def answer(number: str, text: str) -> list[tuple[str, str]]:
            execute(data, "UPDATE migration_items SET path = 'replacement'")
            return [(number, "done" if "APN" in text else "OK")]

        with modem(answer) as peer:
            send(data, T2, "--modem", peer.path)
        return len(peer.sent)

    assert played() == 1
    execute(data, "UPDATE migration_items SET path = 'configuration'")
    check = sending._check
    looks: list[int] = []

    def once(*arguments: Any) -> None:
        looks.append(1)
        if len(looks) == 1:
            check(*arguments)

    monkeypatch.setattr(sending, "_check", once)
    assert played() == 2
