"""Replay windows: against a naive model, between processes, after a restored backup."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_rig import NODE, OTHER, open_database
from sqlalchemy import select, update

from fleet.db.base import Database
from fleet.identity import oscore, replay
from fleet.identity.errors import IdentityError
from fleet.identity.tables import OscoreContext
from fleet.identity.wrapping import FileKey


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def wrapper(tmp_path: Path) -> FileKey:
    return FileKey.create(tmp_path / "wrapping.key")


@pytest.fixture
def context(database: Database, wrapper: FileKey) -> int:
    """The id of a node's context."""
    return made(database, wrapper, NODE)


def made(database: Database, wrapper: FileKey, node_id: str) -> int:
    with database.begin() as session:
        kid = oscore.new_context(session, wrapper, node_id).kid
        return oscore.find(session, wrapper, [kid])[kid].id


def strike(database: Database, *claims: tuple[int, int, bool]) -> list[bool]:
    with database.begin() as session:
        return oscore.strike(session, list(claims))


class Naive:
    """What RFC 8613, 7.4 asks for, with everything remembered."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def strike(self, number: int) -> bool:
        if number in self.seen or number <= max(self.seen, default=-1) - replay.WINDOW:
            return False
        self.seen.add(number)
        return True


near = st.integers(0, 120)
far = st.sampled_from([0, 31, 32, 33, 63, 64, 65, 2**20, 2**32, 2**40 - 33, 2**40 - 2, 2**40 - 1])


@given(st.lists(near | far, max_size=60))
def test_the_window_agrees_with_a_naive_model(numbers: list[int]) -> None:
    model, window = Naive(), replay.EMPTY
    for number in numbers:
        struck = replay.strike(*window, number)
        assert (struck is not None) == model.strike(number)
        window = struck or window
        assert window[0] < 2**40
        assert 0 <= window[1] < 2**32


@given(st.integers(0, 2**40 - 1), st.integers(-40, 40))
def test_a_window_started_by_an_echo_takes_only_what_is_newer(number: int, away: int) -> None:
    struck = replay.strike(*replay.started(number), number + away)
    assert (struck is not None) == (away > 0 and number + away < 2**40)


@pytest.mark.parametrize("number", [-1, -(2**70), 2**40, 2**70])
def test_what_no_partial_iv_can_hold_is_never_struck(
    database: Database, context: int, number: int
) -> None:
    assert strike(database, (context, number, False), (context, number, True)) == [False, False]


def test_claims_of_several_contexts_are_judged_in_order(
    database: Database, wrapper: FileKey, context: int
) -> None:
    other = made(database, wrapper, OTHER)
    claims = [
        (context, 40, False), (other, 40, False), (context, 40, False), (context, 9, False),
        (context, 8, False), (other, 41, False), (4711, 1, False), (context, 9, False),
    ]  # fmt: skip
    assert strike(database, *claims) == [True, True, False, True, False, True, False, False]
    assert strike(database) == []
    assert strike(database, *claims) == [False] * 8  # committed


def test_what_is_rolled_back_was_not_struck(database: Database, context: int) -> None:
    def fail() -> None:
        with database.begin() as session:
            assert oscore.strike(session, [(context, 1, False)]) == [True]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert strike(database, (context, 1, False)) == [True]


STRIKER = """
import sys
from fleet.db.base import Database
from fleet.identity import oscore
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()  # both begin together
for number in range(int(sys.argv[3])):
    with database.begin() as session:
        won = oscore.strike(session, [(int(sys.argv[2]), number, False)])[0]
    print(int(won), end="")
"""


def test_attack_one_request_to_two_processes(
    database: Database, context: int, tmp_path: Path
) -> None:
    """Of two that strike the same number exactly one wins, number by number."""
    arguments = [sys.executable, "-c", STRIKER, str(database.engine.url), str(context), "120"]
    processes = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0] for process in processes]
    # The slower one may be told "too old" for a number that the faster one has won.
    assert [len(answer) for answer in answers] == [120, 120]
    assert [sum(map(int, pair)) for pair in zip(*answers, strict=True)] == [1] * 120


def test_sabotage_without_one_transaction_both_win(database: Database, context: int) -> None:
    """Were the window read before the write lock, a request would count twice."""
    gate = threading.Barrier(2)
    won: list[bool] = []

    def torn() -> None:
        with database.read() as session:
            row = session.get_one(OscoreContext, context)
        gate.wait(10)
        window = replay.strike(row.highest if row.highest is not None else -1, row.seen, 7)
        if window is not None:
            with database.begin() as session:
                session.execute(update(OscoreContext).values(highest=window[0], seen=window[1]))
        won.append(window is not None)

    def whole() -> None:
        gate.wait(10)
        won.append(strike(database, (context, 8, False))[0])

    for work in (torn, whole):
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert won[:2] == [True, True]
    assert sorted(won[2:]) == [False, True]


def trusted(database: Database, context: int) -> bool:
    with database.read() as session:
        return session.get_one(OscoreContext, context).highest is not None


def test_a_distrusted_window_waits_for_an_echo(database: Database, context: int) -> None:
    assert strike(database, (context, 100, False)) == [True]
    with database.begin() as session:
        assert oscore.distrust(session, OTHER) == 0
        assert oscore.distrust(session, NODE) == 1
    assert not trusted(database, context)
    assert strike(database, (context, 101, False)) == [False]
    assert not trusted(database, context)
    # The Echo proves this one fresh: whatever is older may have been used.
    assert strike(database, (context, 50, True)) == [True]
    assert trusted(database, context)
    claims = [(context, number, fresh) for number in (49, 50, 51) for fresh in (False, True)]
    assert strike(database, *claims) == [False, False, False, False, True, False]


@pytest.mark.parametrize("distrusted", [True, False])
def test_attack_replay_after_a_restored_backup(
    database: Database, context: int, tmp_path: Path, distrusted: bool
) -> None:
    """Without `distrust` the restored window takes the replay, and own numbers come again."""
    with database.begin() as session:
        oscore.take_numbers(session, context, 10)
    database.close()
    shutil.copy(tmp_path / "kapok.db", tmp_path / "backup.db")
    assert strike(database, (context, 3, False)) == [True]
    with database.begin() as session:
        used = oscore.take_numbers(session, context, 10)
    restored = Database(f"sqlite:///{tmp_path / 'backup.db'}")
    with restored.begin() as session:
        if distrusted:
            assert oscore.distrust(session, None) == 1
    assert strike(restored, (context, 3, False)) == [not distrusted]
    with restored.begin() as session:
        first = oscore.take_numbers(session, context, 10)
    assert (first > used + 10) == distrusted
    restored.close()


def test_own_numbers_never_come_twice_and_end(database: Database, context: int) -> None:
    with database.begin() as session:
        assert [oscore.take_numbers(session, context, n) for n in (1, 64, 1)] == [0, 1, 65]
        session.execute(update(OscoreContext).values(own_numbers=2**40 - 2))
        assert oscore.take_numbers(session, context, 2) == 2**40 - 2
        with pytest.raises(IdentityError, match="used up"):
            oscore.take_numbers(session, context, 1)
        assert session.scalar(select(OscoreContext.own_numbers)) == 2**40
