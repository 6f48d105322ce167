"""Whoever writes orders, or answers them: a box's line is no way to a meter, an echo no answer."""

import asyncio
from collections.abc import Iterator

import legacy_rig as rig
import pytest
from order_rig import BOX, SECOND, box, ended, order, place, terminal

from fleet.db.base import Database
from fleet.legacy import orders, telling
from fleet.legacy.tables import LegacyOrder
from fleet.migration import answers
from fleet.registry.operations import now_us


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with rig.city(tmp_path_factory.mktemp("city")) as opened:
        yield opened


@pytest.fixture
def database(city: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(telling, "LOOK_S", 0.02)
    return rig.fresh(city)


FRAME = "h3\x00\x01D3\x22\x04\x81\x16"


def write(database: Database) -> int:
    """An order that nobody looked at."""
    with database.begin() as session:
        who = terminal(database, BOX)
        row = LegacyOrder(
            terminal_id=who, open_for=who, state="open", text=FRAME, expects="OK", person="",
            made_us=now_us(), expires_us=now_us() + 60 * SECOND, answer="",
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id


def test_a_frame_in_the_database_reaches_no_line(database: Database) -> None:
    async def run() -> tuple[str, str]:
        number = write(database)
        async with box(database) as (_, end):
            found = await ended(database, number)
            assert await end.silent(0.1)
            return found

    state, why = asyncio.run(run())
    assert state == orders.REFUSED
    assert "printable ASCII" in why


def test_sabotage_without_the_look_at_the_line_it_does(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "only_words", lambda text: text.encode("latin-1"))

    async def run() -> None:
        write(database)
        async with box(database) as (_, end):
            assert await end.hear() == FRAME.encode("latin-1")

    asyncio.run(run())


def test_an_apn_that_reads_ok_is_no_answer(database: Database) -> None:
    text = 'AT+CGDCONT=1,"IP","OK"'

    async def run() -> None:
        number = place(database, text=text)
        async with box(database) as (_, end):
            echo = await end.hear()
            await end.say(echo[:21])
            await asyncio.sleep(0.05)
            assert order(database, number).state == orders.SENT
            await end.say(echo[21:] + b"ERROR\r\n")
            await ended(database, number)
        assert not answers.is_good(text, "OK", order(database, number).answer)

    asyncio.run(run())
