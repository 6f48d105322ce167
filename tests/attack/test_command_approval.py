"""The two-person rule of the valve class, approvals that died, and how far a thief of an account
gets in a minute.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from command_rig import DAY_S, LI, WANG, Town

from fleet import whoami
from fleet.control import commands
from fleet.control.errors import ControlError
from fleet.control.limits import Limits
from fleet.control.targets import Target
from fleet.registry.operations import now_us
from fleet.wire import receipt, report

MODULES = ("commands.now_us", "releasing.now_us", "operations.clock_us", "ends.now_us")


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    yield made
    made.close()


def later(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """The fleet's clock, so much ahead."""
    at = now_us() + seconds * 1_000_000
    for name in MODULES:
        monkeypatch.setattr(f"fleet.control.{name}", lambda: at)


@pytest.mark.parametrize("name", ["valve-close", "valve-arm"])
def test_attack_one_person_asks_and_approves(town: Town, name: str) -> None:
    town.ask(name, *([600] if name == "valve-arm" else []))
    for again in (LI, "li wei", " LI  WEI ", "Liwei", "Ｌｉ Ｗｅｉ"):
        with pytest.raises(ControlError, match="another person approves it"):
            town.approve(1, again)
    with pytest.raises(ControlError, match="printable"):
        town.approve(1, "Li\u200bWei")  # a blank that nobody sees
    meter = town.meter()
    meter.report()
    assert meter.done == []
    assert rig.query(town.path, "SELECT count(*) FROM downlinks") == [(0,)]


def test_attack_one_person_approves_twice(town: Town) -> None:
    town.ask()
    town.approve(1, WANG)
    with pytest.raises(ControlError, match="approved by Wang Fang already"):
        town.approve(1, WANG)
    with pytest.raises(ControlError, match="approved by Wang Fang already"):
        town.approve(1, "Zhao Min")
    meter = town.meter()
    for _ in range(3):
        meter.report()
    assert len(meter.done) == 1


def test_attack_an_approval_of_what_needs_none_or_is_not(town: Town) -> None:
    town.ask("reboot")
    with pytest.raises(ControlError, match="needs no approval"):
        town.approve(1)
    with pytest.raises(ControlError, match="no command 2"):
        town.approve(2)


def test_attack_a_command_that_was_taken_back_is_approved(town: Town) -> None:
    town.ask()
    with town.database.begin() as session:
        commands.cancel(session, 1, WANG)
    with pytest.raises(ControlError, match="taken back by Wang Fang"):
        town.approve(1, "Zhao Min")


def test_attack_an_approval_that_died(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A meter that slept past the end of the approval is not closed when it wakes."""
    town.ask(lives_s=3600)
    town.approve(1)
    with monkeypatch.context() as patch:
        later(patch, 3601)
        at = now_us() + 3601 * 1_000_000
        meter = town.meter()
        body = report.encode_body(at // 1_000_000, 0, [(1, 7)])
        sent = report.encode(5, at // 1_000_000, [(1, body)], {})
        patch.setattr("fleet.registry.operations.now_us", lambda: at)
        (outcome,) = town.ingest.process([rig.message(meter.node_id, sent, at)])
        assert receipt.decode(outcome.receipt or b"").items == []
        town.tick()
    assert town.deliveries() == [(town.nodes[0], "expired", "approval-ended")]


def test_attack_a_request_that_waited_a_day_is_approved(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.ask()
    later(monkeypatch, DAY_S + 1)
    with pytest.raises(ControlError, match="waited too long"):
        town.approve(1)
    town.tick()
    assert town.deliveries() == [(town.nodes[0], "expired", "unapproved")]


def test_attack_an_approval_is_written_without_a_second_person(town: Town) -> None:
    """The hand-over looks once more: a row that only says when was approved by nobody."""
    town.ask()
    with town.database.begin() as session:
        session.connection().exec_driver_sql("UPDATE commands SET approved_us = asked_us")
    town.tick()
    meter = town.meter()
    meter.report()
    assert meter.done == []


def test_attack_many_commands_of_a_stolen_account_in_one_minute(tmp_path: Path) -> None:
    """Two of them even: the limit is of all commands together."""
    town = Town(tmp_path, 30, Limits(10, 1000))
    for node_id in town.nodes[:15]:
        town.approve(town.ask(to=[Target("node", node_id)]).identifier)
    town.approve(town.ask(to=[Target("area", rig.AREA)], per_minute=100_000).identifier)
    for _ in range(5):
        town.tick()
    for place in range(30):
        town.meter(place).report()
    closed = [state for _node, state, _why in town.deliveries() if state == "delivered"]
    assert len(closed) == 10
    town.close()


def test_sabotage_without_the_limit_they_all_close(tmp_path: Path) -> None:
    town = Town(tmp_path, 30)
    town.approve(town.ask(to=[Target("area", rig.AREA)], per_minute=100_000).identifier)
    for place in range(30):
        town.meter(place).report()
    assert {state for _node, state, _why in town.deliveries()} == {"delivered"}
    town.close()


def test_attack_two_who_approve_at_once(town: Town) -> None:
    """One approval, one release: the second finds it approved."""
    town.ask()
    gate = threading.Barrier(2)
    said: list[str] = []

    def approve(person: str) -> None:
        gate.wait(10)
        try:
            town.approve(1, person)
            said.append("done")
        except ControlError:
            said.append("refused")

    threads = [threading.Thread(target=approve, args=(p,)) for p in (WANG, "Zhao Min")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(said) == ["done", "refused"]
    assert rig.query(town.path, "SELECT count(*) FROM downlinks") == [(1,)]


def test_attack_one_account_says_two_names(town: Town) -> None:
    town.ask()
    with pytest.raises(ControlError, match="under another account"), town.database.begin() as s:
        commands.approve(s, 1, WANG, town.limits, account=f"of {LI}")
    assert rig.query(town.path, "SELECT asked_account, approved_account FROM commands") == [
        (f"of {LI}", None)
    ]
    with town.database.begin() as session:
        commands.approve(session, 1, WANG, town.limits, account=f"of {LI}", one_account=True)
    assert rig.query(town.path, "SELECT approved_account FROM commands") == [(f"of {LI}",)]


def test_attack_the_environment_names_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    before = whoami.account()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "wang")
    assert whoami.user_name() == "wang", "a name is what somebody says"
    assert whoami.account() == before


@pytest.mark.parametrize("name", ["Li W\u0435i", "\u039bi Wei", "\uff2ci W\u0435i"])
def test_attack_a_name_of_letters_that_look_alike(town: Town, name: str) -> None:
    town.ask()
    with pytest.raises(ControlError, match="one alphabet"):
        town.approve(1, name)


@pytest.mark.parametrize(
    "name", ["Li Wei \u674e\u4f1f", "\u0418\u0432\u0430\u043d", "\u738b\u82b3 2"]
)
def test_names_of_one_alphabet_are_good(town: Town, name: str) -> None:
    town.ask(by=name)
    town.approve(1)
