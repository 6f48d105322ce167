"""Orders for the boxes of `legacy_rig`: given, and looked at; and a box that is there."""

import contextlib
from collections.abc import AsyncIterator

import legacy_rig as rig
import migration_rig
from legacy_rig import End
from sqlalchemy import select

from fleet.db.base import Database
from fleet.legacy import orders
from fleet.legacy.listeners import Listeners
from fleet.legacy.orders import Order
from fleet.migration import answers
from fleet.registry.operations import now_us
from fleet.registry.tables import Terminal

SECOND = 1_000_000
TEXT = 'AT+QCFG="nwscanmode",3,1'
BOX, GAS_BOX = migration_rig.imei(1), migration_rig.imei(5)  # one without a meter, one with


def terminal(database: Database, imei: str) -> str:
    with database.read() as session:
        return session.scalars(select(Terminal.id).where(Terminal.imei == imei)).one()


def place(
    database: Database,
    imei: str = BOX,
    text: str = TEXT,
    wait_s: float = 60.0,
    expects: str = "OK",
) -> int:
    now = now_us()
    times = now, now + round(wait_s * SECOND)
    with database.begin() as session:
        return orders.place(session, terminal(database, imei), text, expects, "Li Wei", times)


def order(database: Database, number: int) -> Order:
    with database.read() as session:
        return orders.get(session, number)


async def ended(database: Database, number: int) -> tuple[str, str]:
    await rig.until(lambda: order(database, number).state not in (orders.OPEN, orders.SENT))
    found = order(database, number)
    return found.state, answers.one_line(found.answer)


@contextlib.asynccontextmanager
async def box(database: Database, imei: str = BOX) -> AsyncIterator[tuple[Listeners, End]]:
    """A box that has said who it is."""
    async with rig.serving(database) as served:
        end = await End.to(served, "dtu")
        await end.say(imei.encode() + b"\r\n")
        polls = served.polls
        assert polls is not None
        await rig.until(lambda: len(polls.orders._boxes) == 1)
        yield served, end
        await end.close()
