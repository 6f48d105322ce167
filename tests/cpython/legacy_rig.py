"""Old terminals for tests of the listeners: a small city of them, and the ends of their lines."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fleet_rig
import migration_rig
from sqlalchemy import delete, event, select, update

from fleet.alarms.tables import Alarm, AlarmAct, OutMessage
from fleet.db.base import Base, Database
from fleet.legacy.commits import Item
from fleet.legacy.config import Config
from fleet.legacy.intake import Source
from fleet.legacy.limits import Bounds
from fleet.legacy.links import Home
from fleet.legacy.listeners import Listeners
from fleet.legacy.polling import Model
from fleet.legacy.protocols import dlt645, dtu, hj212, modbus, writing
from fleet.legacy.protocols.frame import BEIJING
from fleet.legacy.tables import (
    LegacyConflict,
    LegacyKept,
    LegacyLink,
    LegacyOrder,
    LegacyStranger,
    LegacyUnmapped,
)
from fleet.registry import legacy_behind
from fleet.registry.legacy_behind import Meter
from fleet.registry.tables import Asset, Terminal
from fleet.telemetry.tables import Reading
from fleet.wire import cjt188, quantity

MN = "010000A8900016F000169DC0"
OTHER_MN = "010000A8900016F000169DC1"
STATION = "0012345678"
GAS = "33007801443322"  # a gas meter's address on its box's line
POWER, AIR = "000000000161", "7"  # behind another box
WAIT_S = 60.0  # for what must come
AT = datetime(2026, 11, 20, 8, 0, tzinfo=BEIJING)
_TABLES: tuple[type[Base], ...] = (
    Reading, LegacyConflict, LegacyKept, LegacyStranger, LegacyLink, LegacyUnmapped, LegacyOrder,
    AlarmAct,
    OutMessage, Alarm,
)  # fmt: skip


def _hasty(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


@contextlib.contextmanager
def city(folder: Path) -> Iterator[Database]:
    """T1: a box of its own; two of HJ 212; one of SL 651; a box with a gas meter; one with two."""
    with contextlib.closing(migration_rig.open_city(folder)) as database:
        event.listen(database.engine, "connect", _hasty)
        database.engine.dispose()
        lines = [
            migration_rig.line(1),
            migration_rig.line(2, protocol="SL651", address="12345678", kind="drainage"),
            migration_rig.line(3, protocol="HJ212", address=MN, kind="environment"),
            migration_rig.line(4, protocol="HJ/T212", address=OTHER_MN, kind="environment"),
            migration_rig.line(5, protocol="CJ/T188", address=GAS),
            migration_rig.line(6, kind="gateway"),
        ]
        migration_rig.bring(database, folder, lines)
        with database.begin() as session:
            box = session.scalars(
                select(Terminal.id).where(Terminal.imei == migration_rig.imei(6))
            ).one()
            legacy_behind.put(session, Meter(box, "flat 1", "electricity-meter", POWER))
            legacy_behind.put(session, Meter(box, "roof", "environment-station", AIR))
        yield database


def fresh(database: Database) -> Database:
    """As it was before anybody spoke."""
    fleet_rig.empty(database, *_TABLES)
    with database.begin() as session:
        session.execute(update(Terminal).values(last_report_us=None, state="active"))
        session.execute(delete(Terminal).where(Terminal.kind != "legacy"))
    return database


def config(**bounds: Any) -> Config:
    """Any free ports; boxes say their IMEI and are asked once an hour."""
    model = Model(dtu.pattern("imei", heartbeats=(b"PING",)), air_s=bounds.pop("air_s", 2.0))
    home = bounds.pop("home", Home())
    return Config(
        ports={"hj212": 0, "sl651": 0}, dtus=((0, model),), home=home,
        bounds=replace(Bounds(), **bounds),
    )  # fmt: skip


@contextlib.asynccontextmanager
async def serving(database: Database, chosen: Config | None = None) -> AsyncIterator[Listeners]:
    """Listeners until the block ends."""
    served = Listeners(database, chosen or config())
    ended, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(served.run(lambda _: ready.set(), ended))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if task.done():
            await task
        yield served
    finally:
        ended.set()
        await asyncio.wait({task}, timeout=WAIT_S)


class End:
    """A terminal's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, served: Listeners, name: str, source: str = "127.0.0.1") -> "End":
        """Connect to the port of a protocol."""
        port = served.addresses[f"{name}_port"]
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))

    async def say(self, data: bytes) -> None:
        """Send it."""
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self, most: int = 4096) -> bytes:
        """What comes next; empty when the other end has closed."""
        try:
            return await asyncio.wait_for(self.reader.read(most), WAIT_S)
        except ConnectionError:
            return b""

    async def silent(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for a while."""
        try:
            await asyncio.wait_for(self.reader.read(1), seconds)
        except TimeoutError:
            return True
        return False

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Still:
    """A channel of which the commits wait for the test."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.sent: list[bytes] = []
        self.told: list[str] = []

    def commit(self, source: Source, item: Item) -> None:
        """Remember it."""
        self.items.append(item)

    def send(self, data: bytes) -> None:
        """Remember it."""
        self.sent.append(data)

    def proven(self) -> None:
        """Nothing."""

    def bad(self, what: str, size: int) -> None:
        """Remember it."""
        self.told.append(what)

    def parts(self, size: int) -> bool:
        """There is room."""
        return True


async def until(holds: Callable[[], bool]) -> None:
    """Until it holds."""
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110  # of another thread
            await asyncio.sleep(0.01)


def packet(
    minute: int = 0,
    mn: str = MN,
    value: str = "1.12",
    variant: str | None = None,
    cn: str = "2011",
) -> bytes:
    """COD at a minute of the day."""
    at = f"20261120{minute // 60:02d}{minute % 60:02d}00"
    groups = ((("DataTime", at),), (("w01018-Rtd", value), ("w01018-Flag", "N")))
    made = hj212.Packet("32", "2011", mn, groups, f"{at}223", "100000", 5, variant=variant)
    return hj212.encode(made)


def report(serial: int = 1, level: str = "0.127", station: str = STATION) -> bytes:
    """A water level by SL 651, at a minute by its serial number."""
    from fleet.legacy.protocols import sl651

    observed = AT.replace(minute=serial % 60)
    made = writing.report(
        0x32, 1, station, serial, observed, observed, "river", {"Z": Decimal(level)}
    )
    return sl651.encode(made)


def gas_answer(request: bytes, total: str) -> bytes:
    """What the gas meter answers."""
    kind, address, _control, data = cjt188.decode(request.lstrip(b"\xfe"))
    told = writing.metered(kind, address, data[2], Decimal(total), Decimal(0), AT)
    return b"\xfe\xfe" + cjt188.encode(told.kind, told.address, told.control, told.data)


def power_answer(request: bytes) -> bytes:
    """What the electricity meter answers: 0.26 kWh; it has nothing else."""
    frame = dlt645.decode(request)
    item = int.from_bytes(frame.data[:4], "little")
    if item == 0x00010000:
        return dlt645.encode(writing.measured(POWER, item, Decimal("0.26")))
    return dlt645.encode(replace(frame, control=0xD1, data=b"\x02"))


def air_answer(request: bytes) -> bytes:
    """What the environment station answers: registers 500 on."""
    count = request[5]
    return modbus.encode(
        writing.registers(request[0], request[1], [500 + n for n in range(count)])
    )


def readings(database: Database) -> list[tuple[str, str, int]]:
    """(asset, quantity, value), as they were stored."""
    with database.read() as session:
        rows = session.execute(
            select(Asset.name, Reading.quantity, Reading.value)
            .join(Asset, Asset.id == Reading.asset_id)
            .order_by(Reading.id)
        )
        return [(name, quantity.QUANTITIES[code][0], value) for name, code, value in rows]


def alarms(database: Database) -> list[str]:
    """Kinds of the open ones."""
    with database.read() as session:
        return list(session.scalars(select(Alarm.kind).where(Alarm.open_key.is_not(None))))
