"""Orders for boxes: told once, between two polls, on the connection of the box they are for."""

import asyncio
from collections.abc import Iterator

import legacy_rig as rig
import migration_rig
import pytest
from legacy_rig import End
from order_rig import GAS_BOX, SECOND, TEXT, box, ended, order, place
from sqlalchemy.exc import DBAPIError

from fleet.db.base import Database
from fleet.legacy import orders, telling
from fleet.legacy.orders import OrderError
from fleet.legacy.words import NotWords
from fleet.registry.operations import now_us


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with rig.city(tmp_path_factory.mktemp("city")) as opened:
        yield opened


@pytest.fixture
def database(city: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(telling, "LOOK_S", 0.02)
    return rig.fresh(city)


@pytest.mark.parametrize(
    ("said", "state", "answer"),
    [
        ([b"\r\nOK\r\n"], "answered", "OK"),
        ([b"\r\n+CME ", b"ERROR: 50\r\n"], "answered", "+CME ERROR: 50"),
        ([b"PING", TEXT.encode()[:9], TEXT.encode()[9:] + b"\r\r\n", b"OK\r\n"], "answered",
         f"{TEXT} OK"),
        ([b"\x00\xff" * 600], "answered", "." * 1000),
    ],
    ids=["ok", "error", "heartbeat, echo", "flood"],
)  # fmt: skip
def test_a_box_is_told_and_its_answer_is_kept(
    database: Database, said: list[bytes], state: str, answer: str
) -> None:
    async def run() -> None:
        number = place(database)
        async with box(database) as (served, end):
            assert await end.hear() == TEXT.encode() + b"\r\n"
            for one in said:
                await end.say(one)
                await asyncio.sleep(0.02)
            assert await ended(database, number) == (state, answer)
            assert served.counts["garbage"] == 0
            assert await end.silent(0.1)

    asyncio.run(run())


def test_it_waits_for_the_end_of_a_poll_and_a_poll_for_its_end(database: Database) -> None:
    async def run() -> None:
        async with box(database, GAS_BOX) as (served, end):
            request = await end.hear()
            number = place(database, GAS_BOX)
            assert await end.silent(0.2)
            assert order(database, number).state == orders.OPEN
            await end.say(rig.gas_answer(request, "5.00"))
            assert await end.hear() == TEXT.encode() + b"\r\n"
            await end.say(b"OK\r\n")
            assert (await ended(database, number))[0] == orders.ANSWERED
            await rig.until(lambda: served.commits.counts["new"] == 3)

    asyncio.run(run())


def told_by_two(database: Database, least: int) -> int:
    """How often one order goes out where two processes have a connection of its box: so often at
    least.
    """
    heard: list[bytes] = []

    async def listen(end: End) -> None:
        while data := await end.hear():
            heard.append(data)

    async def run() -> None:
        async with box(database) as (_, one), box(database) as (_, other):
            tasks = [asyncio.create_task(listen(end)) for end in (one, other)]
            place(database)
            await rig.until(lambda: len(heard) >= least)
            await asyncio.sleep(0.2)
            for task in tasks:
                task.cancel()

    asyncio.run(run())
    return b"".join(heard).count(TEXT.encode())


def test_of_two_processes_one_tells_it(database: Database) -> None:
    assert told_by_two(database, 1) == 1


def test_sabotage_without_the_claim_both_do(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "claim", lambda *_: True)
    assert told_by_two(database, 2) >= 2


@pytest.mark.parametrize("how", ["silent", "closed"])
def test_a_box_that_says_nothing_and_one_that_hangs_up(database: Database, how: str) -> None:
    async def run() -> tuple[str, str]:
        async with box(database) as (_, end):
            number = place(database, wait_s=2.0 if how == "silent" else 60)
            assert await end.hear()
            await end.say(b"RDY\r\n")
            if how == "closed":
                await end.close()
            return await ended(database, number)

    state = {"silent": orders.SILENT, "closed": orders.UNKNOWN}[how]
    assert asyncio.run(run()) == (state, "RDY")


def test_whose_deadline_is_over_is_told_nothing(database: Database) -> None:
    async def run() -> None:
        late = place(database, wait_s=0.0)
        async with box(database) as (_, end):
            assert await end.silent(0.3)
        assert order(database, late).state == orders.OPEN  # its giver, or the next one, ends it
        fresh = place(database)
        assert order(database, late).state == orders.WITHDRAWN
        with database.begin() as session:
            assert orders.withdraw(session, fresh, now_us())
            assert not orders.claim(session, fresh, now_us())

    asyncio.run(run())


def test_what_a_process_that_died_had_sent_ends_unknown_and_is_never_sent_again(
    database: Database,
) -> None:
    async def run() -> None:
        number = place(database, wait_s=0.0)
        with database.begin() as session:
            assert orders.claim(session, number, now_us() - SECOND)
            session.connection().exec_driver_sql(
                "UPDATE legacy_orders SET expires_us = expires_us - 90000000"
            )
        async with box(database) as (_, end):
            assert (await ended(database, number))[0] == orders.UNKNOWN
            assert await end.silent(0.1)

    asyncio.run(run())
    for again in ("state = 'open', open_for = terminal_id", "answer = 'OK'"):
        with pytest.raises(DBAPIError, match="never sent again"), database.begin() as session:
            session.connection().exec_driver_sql(f"UPDATE legacy_orders SET {again}")  # noqa: S608


def test_one_terminal_has_one_order_at_a_time(database: Database) -> None:
    place(database)
    with pytest.raises(OrderError, match="by another command"):
        place(database)
    place(database, GAS_BOX)


def test_a_pattern_without_end_and_no_words_are_refused(database: Database) -> None:
    with pytest.raises(OrderError, match="200 characters"):
        place(database, expects="O" * 201)
    with pytest.raises(NotWords):
        place(database, text="AT\r\nAT")


def test_a_station_is_told_nothing(database: Database) -> None:
    async def run() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "hj212")
            await end.say(rig.packet())
            assert b"9014" in await end.hear()
            number = place(database, migration_rig.imei(3))
            assert await end.silent(0.3)
            assert order(database, number).state == orders.OPEN
            await end.close()

    asyncio.run(run())
