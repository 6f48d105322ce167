"""Contexts in memory: many kids by one query, bounded both ways, and never stale for long."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import fleet_rig as rig
import pytest
import pytest_asyncio
from coap_rig import WRAPPER
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from fleet.coap import contexts as module
from fleet.coap import echo
from fleet.coap.commits import UnavailableError
from fleet.coap.contexts import Contexts
from fleet.db.base import Database
from fleet.identity import oscore


class Served:
    """Contexts on a database, a clock by hand, and a count of queries."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.database: Database = rig.open_database(folder)
        node_ids = rig.add_nodes(self.database, nodes)
        with self.database.begin() as session:
            self.kids = [oscore.new_context(session, WRAPPER, n).kid for n in node_ids]
        self.now = 1000.0
        self.queries = 0
        self.contexts = Contexts(self.database, WRAPPER, lambda: self.now)
        event.listen(self.database.engine, "before_cursor_execute", self._count)

    def _count(self, _c: object, _u: object, statement: str, *_more: object) -> None:
        self.queries += statement.startswith("SELECT")

    async def find(self, *kids: bytes) -> list[str | None]:
        """The nodes of some kids, asked for at once."""
        found = await asyncio.gather(*(self.contexts.find(kid) for kid in kids))
        return [None if known is None else known.node_id for known in found]


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    made = Served(tmp_path, 20)
    yield made
    made.database.close()


async def test_many_kids_are_one_query_and_then_none(served: Served) -> None:
    strangers = [b"???", b"", b"much longer than a kid", b"\x00\x00\x00"]
    found = await served.find(*served.kids, *strangers, *served.kids)
    assert None not in found[:20]
    assert found[20:24] == [None] * 4
    assert found[24:] == found[:20]
    assert served.queries == 1
    assert await served.find(*served.kids, *strangers) == found[:24]
    assert served.queries == 1


async def test_a_kid_that_is_new_is_found_soon(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    kid = b"new"
    assert await served.find(kid) == [None]
    (node_id,) = rig.add_nodes(served.database, 1)
    monkeypatch.setattr("fleet.identity.contexts.draw_kid", lambda: kid)
    with served.database.begin() as session:
        oscore.new_context(session, WRAPPER, node_id)
    assert await served.find(kid) == [None]
    served.now += module.STALE_S
    assert await served.find(kid) == [node_id]


async def test_attack_kids_without_end_push_out_no_proven_context(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNPROVEN", 50)
    known = await served.contexts.find(served.kids[0])
    assert known is not None
    served.contexts.prove(known)
    for n in range(0, 1000, 100):
        await served.find(*(b"%05d" % k for k in range(n, n + 100)))
    assert len(served.contexts._unproven) == 50
    before = served.queries
    assert await served.contexts.find(served.kids[0]) is known
    assert served.queries == before


async def test_proven_contexts_are_bounded_the_least_used_goes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROVEN", 3)
    for kid in served.kids[:3]:
        known = await served.contexts.find(kid)
        assert known is not None
        served.contexts.prove(known)
    await served.find(served.kids[0])
    fourth = await served.contexts.find(served.kids[3])
    assert fourth is not None
    served.contexts.prove(fourth)
    assert set(served.contexts._proven) == {served.kids[n] for n in (0, 2, 3)}


async def test_attack_more_kids_than_are_worth_it_are_not_looked_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 5)
    asked = (served.contexts.find(b"%03d" % n) for n in range(20))
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, UnavailableError) for one in found) == 15
    assert served.queries == 1
    assert await served.find(served.kids[0]) != [None]


async def test_a_kid_that_fails_is_looked_up_again_but_not_each_time(served: Served) -> None:
    """It may be another node's by now; a forger must not have the database asked."""
    known = await served.contexts.find(served.kids[0])
    assert known is not None
    served.contexts.prove(known)
    for _ in range(100):
        served.contexts.doubt(known)
        assert await served.contexts.find(served.kids[0]) is known
    assert served.queries == 1
    served.now += module.STALE_S
    served.contexts.doubt(known)
    assert await served.contexts.find(served.kids[0]) is not known
    assert served.queries == 2


async def test_a_database_that_fails_is_told_to_all_who_wait_and_is_asked_again(
    served: Served,
) -> None:
    fails = [True]

    def fail(*_arguments: object) -> None:
        if fails:
            raise OperationalError("SELECT", None, Exception("disk I/O error"))

    event.listen(served.database.engine, "before_cursor_execute", fail)
    asked = (served.contexts.find(kid) for kid in served.kids)
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, OperationalError) for one in found)
    fails.clear()
    assert None not in await served.find(*served.kids)


async def test_the_fleet_s_own_numbers_never_come_twice(served: Served) -> None:
    """Two processes, and one that forgot."""
    other = Contexts(served.database, WRAPPER)
    one, two = await served.contexts.find(served.kids[0]), await other.find(served.kids[0])
    assert one is not None
    assert two is not None
    taken = []
    for n in range(3 * module.OWN_NUMBERS):
        taken.append(await served.contexts.own_number(one))
        taken.append(await other.own_number(two))
        if n == 5:
            served.contexts.forget(one)
            one = await served.contexts.find(served.kids[0])
            assert one is not None
    taken += await asyncio.gather(*(served.contexts.own_number(one) for _ in range(40)))
    assert len(set(taken)) == len(taken)


async def test_a_window_lost_again_is_another_loss(served: Served) -> None:
    """What tells an Echo value of one loss from one of the next."""
    known = await served.contexts.find(served.kids[0])
    assert known is not None
    losses = []
    for _ in range(3):
        await served.contexts.refill(known)
        losses.append(await served.contexts.own_number(known) // echo.NUMBERS_OF_A_LOSS)
        with served.database.begin() as session:
            oscore.distrust(session, None)
    assert len(set(losses)) == 3


async def test_a_secret_that_cannot_be_unwrapped_is_unavailable(served: Served) -> None:
    """A token that is gone for a moment: its nodes are no strangers."""
    with served.database.begin() as session:
        session.connection().exec_driver_sql("UPDATE oscore_contexts SET secret = x'00'")
    with pytest.raises(UnavailableError):
        await served.find(served.kids[0])
    assert await served.find(b"???") == [None]
