"""Alarms: one open of each, counted, taken note of, ended; what they say in two languages."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from sqlalchemy import text

from fleet import texts
from fleet.alarms import operations
from fleet.alarms.wording import text_of
from fleet.db.base import Database

NODE = "1gntj14d2p"
DETAIL: dict[str, str | int] = {"node": NODE, "evidence": "epochs", "one": 1, "other": 2}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = rig.open_database(tmp_path)
    yield database
    database.close()


def opened(database: Database, history: bool = False) -> list[operations.Listed]:
    with database.read() as session:
        return operations.list_(session, operations.Filter(history=history))


def raised(database: Database, **detail: str | int) -> bool:
    with database.begin() as session:
        return operations.raise_alarm(session, "clone", NODE, {**DETAIL, **detail})


def test_an_alarm_is_opened_once_and_counted(database: Database) -> None:
    assert raised(database)
    assert not raised(database, one=3)
    (found,) = opened(database)
    assert (found.times, found.state, found.severity, found.detail["one"]) == (
        2, "open", "critical", 3,
    )  # fmt: skip
    assert found.first_us <= found.last_us


def test_a_person_takes_note_and_the_first_one_stands(database: Database) -> None:
    raised(database)
    for person in ("Li Wei", "Wang Fang"):
        with database.begin() as session:
            operations.acknowledge(session, 1, person)
    (found,) = opened(database)
    assert (found.state, found.acknowledged_by) == ("acknowledged", "Li Wei")


def test_one_that_ended_is_history_and_may_come_again(database: Database) -> None:
    raised(database)
    with database.begin() as session:
        assert operations.clear(session, "clone", NODE)
        assert not operations.clear(session, "clone", NODE)
    assert opened(database) == []
    assert raised(database), "a new one"
    assert [each.state for each in opened(database, history=True)] == ["cleared", "open"]
    with database.begin() as session:
        operations.clear_by_id(session, 2, "Li Wei")
        with pytest.raises(operations.AlarmError, match="not open"):
            operations.clear_by_id(session, 2, "Li Wei")
        with pytest.raises(operations.AlarmError, match="not open"):
            operations.acknowledge(session, 2, "Li Wei")


@pytest.mark.parametrize(
    ("kind", "subject", "detail"),
    [("burglar", NODE, {}), ("clone", "", {}), ("clone", "x" * 65, {}), ("clone", "a\nb", {}),
     ("clone", NODE, {"a": "x" * 5000})],
)  # fmt: skip
def test_refusals(database: Database, kind: str, subject: str, detail: dict[str, str]) -> None:
    with pytest.raises(operations.AlarmError) as caught, database.begin() as session:
        operations.raise_alarm(session, kind, subject, detail)
    assert "\n" not in str(caught.value)


def test_many_at_once_make_one(database: Database) -> None:
    gate = threading.Barrier(8)
    new: list[bool] = []

    def one() -> None:
        gate.wait(10)
        new.append(raised(database))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (found,) = opened(database)
    assert (new.count(True), found.times) == (1, 8)


def test_sabotage_without_the_constraint_there_are_two(database: Database) -> None:
    raised(database)
    with database.begin() as session:
        session.execute(text("UPDATE alarms SET open_key = 'clone/other'"))
    assert raised(database)
    assert len(opened(database)) == 2


def test_open_alarms_are_counted_by_kind(database: Database) -> None:
    raised(database)
    with database.read() as session:
        assert operations.open_counts(session) == {
            **dict.fromkeys(operations.KINDS, 0), "clone": 1,
        }  # fmt: skip


def test_it_says_so_in_both_languages(database: Database) -> None:
    raised(database)
    (found,) = opened(database)
    assert "two journals report in turns, epochs 1 and 2" in text_of(found, "en")
    assert "两份日志交替上报，纪元 1 与 2" in text_of(found, "zh")


@pytest.mark.parametrize("key", texts.known())
def test_the_catalogue_is_whole(key: str) -> None:
    names = [set(re.findall(r"\{(\w+)\}", texts.say(key, lang))) for lang in texts.LANGUAGES]
    assert names[0] == names[1]
    assert re.search("[一-\u9fff]", texts.say(key, "zh"))
    assert "\n" not in texts.say(key, "en")


def test_every_kind_has_a_text() -> None:
    assert {f"alarm.{kind}" for kind in operations.KINDS} <= set(texts.known())


@pytest.mark.parametrize(
    ("environment", "lang"),
    [({}, "en"), ({"LANG": "zh_CN.UTF-8"}, "zh"), ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
     ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_TW"}, "zh"), ({"LANG": "de_DE"}, "en"),
     ({"LC_ALL": "", "LANG": "zh"}, "zh")],
)  # fmt: skip
def test_the_language_of_a_terminal(environment: dict[str, str], lang: str) -> None:
    assert texts.language(environment) == lang
