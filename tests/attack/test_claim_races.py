"""One token and a hundred who redeem it at once, or a fleet that dies while it is redeemed."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from coap_rig import WRAPPER
from enrol_rig import NODE_TYPE, EnrolFleet
from sqlalchemy import event, select, update

from fleet.db.base import Database
from fleet.enrol import claims
from fleet.enrol.types import roles
from fleet.identity import hmac_keys, operations, oscore, token_text, tokens
from fleet.identity.client import make_key_and_csr
from fleet.identity.token_tables import ClaimToken

AT_ONCE = 100
ROUNDS = 3
_REQUESTS = [
    (node, make_key_and_csr(node)[1].decode(), make_key_and_csr(node)[1].decode())
    for node in (rig.new_node_id() for _ in range(AT_ONCE))
]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[EnrolFleet]:
    """A fleet."""
    opened = EnrolFleet(tmp_path)
    yield opened
    opened.close()


def redeem(
    database: Database, fleet: EnrolFleet, token: str, request: tuple[str, str, str]
) -> None:
    """One claim, in a transaction of its own."""
    node, csr, spare = request
    with database.begin() as session:
        claims.claim(
            session, fleet.authority, WRAPPER, roles(), token_text.decode(token).secret,
            node_id=node, node_type=NODE_TYPE, csr=csr, spare_csr=spare, policy="keep-identity",
        )  # fmt: skip


def at_once(work: Callable[[int], str]) -> Counter[str]:
    """What AT_ONCE threads that begin together get."""
    gate = threading.Barrier(AT_ONCE)
    said: list[str] = []

    def one(number: int) -> None:
        gate.wait()
        said.append(work(number))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(said)


@pytest.mark.parametrize("count", [1, 7])
def test_a_hundred_at_once_are_never_more_than_the_count(fleet: EnrolFleet, count: int) -> None:
    for _ in range(ROUNDS if count == 1 else 1):
        token = fleet.token(count)

        def work(number: int, token: str = token) -> str:
            try:
                redeem(fleet.database, fleet, token, _REQUESTS[number])
            except tokens.TokenSpent:
                return "spent"
            return "won"

        assert at_once(work) == {"won": count, "spent": AT_ONCE - count}
    serials = rig.query(fleet.folder / "kapok.db", "SELECT count(*) FROM certificates")
    assert serials == [(ROUNDS if count == 1 else count,)]


def test_a_hundred_at_once_for_one_board_take_one_and_end_with_one_certificate(
    fleet: EnrolFleet,
) -> None:
    token = fleet.token(1)

    def work(number: int) -> str:
        redeem(fleet.database, fleet, token, _REQUESTS[0])
        return "won"

    assert at_once(work) == {"won": AT_ONCE}
    live, waiting = fleet.certificates(_REQUESTS[0][0])
    assert [len(live), len(waiting), fleet.used()] == [0, 1, 1]


def test_sabotage_a_count_that_is_read_and_then_written_is_overdrawn(fleet: EnrolFleet) -> None:
    """What the conditional UPDATE is for: the same without it, and without the row's lock."""
    fleet.token(1)
    all_have_read = threading.Barrier(AT_ONCE)

    def work(number: int) -> str:
        with fleet.database.read() as session:
            row = session.scalars(select(ClaimToken)).one()
            used, good = row.used, row.used < row.count
        all_have_read.wait(60)
        if not good:
            return "spent"
        with fleet.database.begin() as session:
            session.execute(update(ClaimToken).values(used=min(used + 1, 1)))
        return "won"

    assert at_once(work)["won"] > 1


def die(*_: object, **__: object) -> None:
    """kill -9, from inside."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(module: Any, name: str) -> None:
    """Let this process die as soon as a function has done its work."""
    real = getattr(module, name)

    def wrapped(*args: Any, **more: Any) -> Any:
        real(*args, **more)
        die()

    setattr(module, name, wrapped)


STEPS: dict[str, Callable[[Database], None]] = {
    "accepted": lambda database: after(tokens, "accept"),
    "issued": lambda database: after(operations, "issue_next"),
    "shared": lambda database: after(oscore, "provide"),
    "keyed": lambda database: after(hmac_keys, "next_key"),
    "taken": lambda database: after(tokens, "redeem"),
    "before the commit": lambda database: event.listen(database.engine, "commit", die),
    "after the commit": lambda database: None,
}


@pytest.mark.parametrize("step", STEPS)
def test_a_fleet_that_dies_while_it_redeems_gives_all_or_nothing(
    fleet: EnrolFleet, step: str
) -> None:
    token = fleet.token(1)
    path = fleet.folder / "kapok.db"
    child = os.fork()
    if child == 0:  # nothing of this process but what is needed; it never returns
        try:
            with closing(Database(f"sqlite:///{path}")) as database:
                STEPS[step](database)
                redeem(database, fleet, token, _REQUESTS[1])
                die()
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    done = step == "after the commit"
    assert fleet.used() == done
    live, waiting = fleet.certificates(_REQUESTS[1][0])
    assert [len(live), len(waiting)] == [0, done]
    # The answer was lost: the same board repeats it, and another one gets nothing once it was.
    redeem(fleet.database, fleet, token, _REQUESTS[1])
    assert fleet.used() == 1
    with pytest.raises(tokens.TokenSpent):
        redeem(fleet.database, fleet, token, _REQUESTS[2])
