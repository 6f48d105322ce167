"""A street of gas meters whose old terminals are replaced: their truth, readings, items, a clock.

Each asset has a pipe through which litres flow; each terminal has a dial of its own on that pipe.
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fleet_rig as rig
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import event, select

from fleet.db.base import Database
from fleet.migration import billing, cutover, decommission, dualrun, gate, ledger, preflight
from fleet.migration import evidence as evidences
from fleet.migration.desk import Desk, Office
from fleet.migration.dualrun import Put
from fleet.migration.evidence import key_id
from fleet.migration.ledger_tables import BillLine, RegisterSegment
from fleet.migration.policy import Policy, keep
from fleet.migration.scaling import Meaning
from fleet.migration.states import Actor
from fleet.migration.tables import PLANNED, MigrationItem, MigrationProgramme
from fleet.registry import operations as registry
from fleet.registry.tables import Asset, Installation, Site, Terminal
from fleet.releases.signers import modulus_of
from fleet.releases.verify import EXPONENT, PSS
from fleet.telemetry import operations as telemetry
from fleet.telemetry.operations import New

GAS = 1
HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
QUICK = Policy(dual_s=2 * 86400, compared=3, gap_s=2 * 86400, rollback_s=10 * 86400)
LITRES = Meaning("m3", 3)


class Signer:
    """A key in memory."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(EXPONENT, 1024)  # noqa: S505  # made quickly
        self.modulus = modulus_of(self._key.public_key())

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message, PSS, SHA256())


@functools.cache
def signer() -> Signer:
    return Signer()


def keys() -> dict[bytes, bytes]:
    return {key_id(signer().modulus): signer().modulus}


class Dial:
    """A terminal's counter: it saw `since` litres flow before it showed 0. One that was taken off
    the pipe when `off` had flowed stands still.
    """

    def __init__(self, terminal_id: str, meaning: Meaning, litres: int, since: int) -> None:
        self.terminal_id = terminal_id
        self.meaning = meaning
        self.litres = litres
        self.since = since
        self.off: int | None = None

    def put_on(self, flowed: int) -> None:
        if self.off is not None:
            self.since += flowed - self.off
            self.off = None

    def raw(self, flowed: int) -> int:
        flowed = flowed if self.off is None else self.off
        counts = (flowed - self.since) // self.litres
        return counts if self.meaning.modulus is None else counts % self.meaning.modulus


def _hasty(connection: Any, _record: object) -> None:
    # What is tested here is what is committed, and not that the disk has it.
    connection.execute("PRAGMA synchronous=OFF")


class Stop(Exception):
    """The process died here."""


class Town:
    """`now` is the fleet's clock, us."""

    def __init__(self, folder: Path, assets: int = 1, policy: Policy = QUICK) -> None:
        self.database: Database = rig.open_database(folder)
        self.path = folder / "kapok.db"
        event.listen(self.database.engine, "connect", _hasty)
        self.database.engine.dispose()
        self.now = rig.NOW_US
        self.office = Office(self.database, signer(), lambda: self.now)
        self.dials: dict[str, Dial] = {}
        self.flowed: dict[int, int] = {}
        self.assets: list[int] = []
        self.items: list[int] = []
        with self.database.begin() as session:
            registry.add_area(session, rig.AREA, "Tianhe")
            programme = MigrationProgramme(
                name="2g", scope=rig.AREA, rules="", settings="{}", made_us=self.now
            )
            session.add(programme)
            session.flush()
            self.programme = programme.id
            keep(self.office.desk(session, Actor.PERSON, "Li Wei"), programme.id, policy)
        for _ in range(assets):
            self.add_asset()

    def add_asset(
        self, meaning: Meaning = LITRES, litres: int = 1, since: int = 0, kind: str = "gas-meter"
    ) -> int:
        """A meter with an old terminal, and its item."""
        with self.database.begin() as session:
            site = Site(area_code=rig.AREA, name="site")
            session.add(site)
            session.flush()
            asset = Asset(site_id=site.id, kind=kind, name=f"meter {len(self.assets)}")
            session.add(asset)
            session.flush()
            asset_id = asset.id
        old = self.add_terminal("legacy", kind, meaning, litres, since)
        with self.database.begin() as session:
            session.add(
                Installation(
                    terminal_id=old, asset_id=asset_id, from_us=self.now, open_for=old,
                    register_offset=0,
                )
            )  # fmt: skip
            item = MigrationItem(
                programme_id=self.programme, asset_id=asset_id, old_terminal_id=old,
                new_terminal_id=None, bearer="NB-IoT", because="test", path="config", wave=1,
                due_day=None, state=PLANNED, deadline_us=None, at_us=self.now, open_for=None,
            )  # fmt: skip
            session.add(item)
            session.flush()
            self.items.append(item.id)
        self.assets.append(asset_id)
        self.flowed[asset_id] = 1_000_000
        return asset_id

    def add_terminal(
        self, kind: str = "node", role: str = "gas-meter", meaning: Meaning = LITRES,
        litres: int = 1, since: int = 0,
    ) -> str:  # fmt: skip
        terminal_id = rig.new_node_id()
        with self.database.begin() as session:
            session.add(
                Terminal(
                    id=terminal_id,
                    kind=kind,
                    role=role,
                    state="active",
                    area_code=rig.AREA,
                    added_us=self.now,
                )
            )
        self.dials[terminal_id] = Dial(terminal_id, meaning, litres, since)
        return terminal_id

    def old(self, place: int = 0) -> str:
        return self.item(place).old_terminal_id

    def item(self, place: int = 0) -> MigrationItem:
        with self.database.read() as session:
            return session.get_one(MigrationItem, self.items[place])

    def state(self, place: int = 0) -> str:
        return self.item(place).state

    def flow(self, litres: int, place: int = 0) -> None:
        self.flowed[self.assets[place]] += litres

    def raw(self, terminal_id: str, place: int = 0) -> int:
        return self.dials[terminal_id].raw(self.flowed[self.assets[place]])

    def report(self, *terminal_ids: str, place: int = 0, quality: int = 0) -> None:
        """Terminals tell what their dials show now."""
        readings = []
        for terminal_id in terminal_ids:
            meaning = self.dials[terminal_id].meaning
            readings.append(
                New(
                    self.assets[place], terminal_id, GAS, meaning.own_us(self.now),
                    self.raw(terminal_id, place), quality, telemetry.LEGACY, self.now,
                )
            )  # fmt: skip
        with self.database.begin() as session:
            telemetry.store(session, readings)

    def days(self, count: int, *terminal_ids: str, place: int = 0, litres: int = 700) -> None:
        """Days pass; each brings some litres, and a reading of each terminal."""
        for _ in range(count):
            self.now += DAY
            self.flow(litres, place)
            self.report(*terminal_ids, place=place)

    @contextlib.contextmanager
    def desk(self, actor: Actor = Actor.FLEET, person: str = "") -> Iterator[Desk]:
        with self.database.begin() as session:
            yield self.office.desk(session, actor, person)

    def ready(self, *places: int, **meanings: Any) -> None:
        with self.desk() as desk:
            by_asset = {
                self.assets[place]: self.dials[self.old(place)].meaning for place in places or (0,)
            }
            assert preflight.make_ready(desk, self._ids(places), by_asset)

    def install(
        self, new: str, place: int = 0, mode: str = "beside", dials: bool = True, **more: Any
    ) -> None:
        old = self.old(place)
        known = {"old_raw": self.raw(old, place), "new_raw": self.raw(new, place)}
        put = Put(
            self.items[place], mode, new, self.now, **(known if dials else {}),
            meaning=self.dials[new].meaning,
        )._replace(**more)  # fmt: skip
        with self.desk(Actor.TECHNICIAN, "Chen") as desk:
            dualrun.install(desk, [put])
        if put.mode == "instead":
            self.dials[old].off = self.flowed[self.assets[place]]

    def judge(self, *places: int) -> list[gate.Verdict]:
        with self.desk() as desk:
            return gate.judge(desk, self._ids(places))

    def cut_over(self, *places: int) -> list[cutover.Moved]:
        with self.desk() as desk:
            return cutover.cut_over(desk, self._ids(places))

    def roll_back(self, *places: int, **more: Any) -> list[cutover.Moved]:
        olds = {place: self.old(place) for place in places or (0,)}
        with self.desk(Actor.PERSON, "Li Wei") as desk:
            moved = cutover.roll_back(desk, self._ids(places), "test", **more)
        for place, old in olds.items():
            self.dials[old].put_on(self.flowed[self.assets[place]])
        return moved

    def freeze(self, to_us: int | None = None) -> list[billing.Line]:
        with self.desk() as desk:
            return billing.freeze(desk, self.assets, to_us or self.now, QUICK)

    def settle(self, *places: int) -> list[int]:
        with self.desk() as desk:
            return cutover.settle(desk, self._ids(places))

    def decommission(self, *places: int) -> list[int]:
        with self.desk(Actor.PERSON, "Li Wei") as desk:
            return decommission.decommission(desk, self._ids(places))

    def _ids(self, places: Sequence[int]) -> list[int]:
        return [self.items[place] for place in places or (0,)]

    def segments(self, place: int = 0) -> list[RegisterSegment]:
        with self.database.read() as session:
            return list(
                session.scalars(
                    select(RegisterSegment)
                    .where(RegisterSegment.asset_id == self.assets[place])
                    .order_by(RegisterSegment.number)
                )
            )

    def lines(self, place: int = 0) -> list[BillLine]:
        with self.database.read() as session:
            return list(
                session.scalars(
                    select(BillLine)
                    .where(BillLine.asset_id == self.assets[place])
                    .order_by(BillLine.number)
                )
            )

    def index(self, place: int = 0, at_us: int | None = None) -> int | None:
        with self.database.read() as session:
            return ledger.index_at(session, self.assets[place], GAS, at_us or self.now)

    def chain(self) -> Any:
        with self.database.read() as session:
            return evidences.verify(session, keys())

    def close(self) -> None:
        self.database.close()


@contextlib.contextmanager
def dies_at(database: Database, statement: int) -> Iterator[list[int]]:
    """The process dies before its statement of this number; the list tells how many there were."""
    count = [0]

    def before(*_args: object) -> None:
        count[0] += 1
        if count[0] == statement:
            raise Stop

    event.listen(database.engine, "before_cursor_execute", before)
    try:
        yield count
    finally:
        event.remove(database.engine, "before_cursor_execute", before)
