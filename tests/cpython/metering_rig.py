"""A street of meters that tell their registers at midnight, for tests of metering: what flowed
each day is known, and readings come when the test lets them.
"""

import functools
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

import fleet_rig as rig
from ledger_rig import DAY, GAS, Town, keys
from sqlalchemy import select

from fleet.migration.ledger_tables import BillLine
from fleet.migration.states import Actor
from fleet.telemetry import operations as telemetry
from fleet.telemetry.metering import bills, consumption, reading, sealing
from fleet.telemetry.metering.bill_tables import BillExport, BillShare
from fleet.telemetry.metering.days import end_us, ended
from fleet.telemetry.metering.tables import DailyRead, MeteringException
from fleet.telemetry.operations import New

FIRST = ended(rig.NOW_US)  # the day at whose end every meter is first heard


@functools.cache
def _empty() -> bytes:
    """A database file with every table, made once."""
    with tempfile.TemporaryDirectory() as folder:
        rig.open_database(Path(folder)).close()
        return (Path(folder) / "kapok.db").read_bytes()


class Street(Town):
    """Meters in the ledger since the end of day FIRST; `truth` has litres by (place, day)."""

    def __init__(self, folder: Path, meters: int = 1) -> None:
        (folder / "kapok.db").write_bytes(_empty())
        super().__init__(folder, 0)
        self.now = end_us(FIRST)
        self.truth: dict[tuple[int, int], int] = {}
        for _ in range(meters):
            self.add_meter()

    def add_meter(self) -> int:
        """Its place."""
        self.add_asset()
        place = len(self.assets) - 1
        self.truth[place, self.day] = self.flowed[self.assets[place]]
        self.report(self.old(place), place=place)
        self.ready(place)
        return place

    @property
    def day(self) -> int:
        """The last day that has ended."""
        return ended(self.now)

    def pass_day(self, *litres: int, told: Iterable[int] | None = None) -> None:
        """A day goes by; each meter uses so much, and those of `told` (all) tell it at its end."""
        self.now += DAY
        for place, used in enumerate(litres):
            self.flow(used, place)
            self.truth[place, self.day] = self.flowed[self.assets[place]]
        for place in range(len(litres)) if told is None else told:
            self.tell(place, self.day)

    def tell(self, place: int, day: int, litres: int | None = None) -> None:
        """The reading of a day's end comes in now; `litres` instead of what was true."""
        value = self.truth[place, day] if litres is None else litres
        with self.database.begin() as session:
            telemetry.store(
                session,
                [
                    New(self.assets[place], self.old(place), GAS, end_us(day), value, 0,
                        telemetry.LEGACY, self.now)
                ],
            )  # fmt: skip

    def read(self, until: int | None = None) -> reading.Done:
        """The daily run."""
        last = self.day if until is None else until
        return reading.total(
            self.office.each(
                self.assets, Actor.FLEET, "", lambda desk, part: reading.read(desk, part, last)
            )
        )

    def close_bill(self, through: int | None = None) -> BillExport:
        last = self.day if through is None else through
        return bills.close(self.office, rig.AREA, last, "Li Wei")

    def file(self, export: BillExport) -> str:
        """What was delivered."""
        with self.database.read() as session:
            return b"".join(sealing.pages(session, export.id)).decode()

    def verify(self) -> str:
        return sealing.verify(self.database, keys())[1]

    def reads(self, place: int = 0) -> dict[int, DailyRead]:
        """What counts, by day."""
        with self.database.read() as session:
            rows = session.scalars(
                select(DailyRead)
                .where(DailyRead.asset_id == self.assets[place])
                .order_by(DailyRead.revision)
            )
            return {row.day: row for row in rows}

    def used(self, place: int, since: int, until: int) -> int:
        """Of the days from `since` to before `until`."""
        with self.database.read() as session:
            (one,) = consumption.of_assets(session, since, until, asset_id=self.assets[place])
        return one.used

    def shares(self, export: BillExport, place: int = 0) -> list[tuple[str, int]]:
        """Kind and litres of each row of an export that is of a meter."""
        with self.database.read() as session:
            rows = session.execute(
                select(BillShare.kind, BillShare.used)
                .join(BillLine, BillLine.id == BillShare.line_id)
                .where(
                    BillShare.export_id == export.id, BillLine.asset_id == self.assets[place]
                )
                .order_by(BillLine.number, BillShare.kind)
            )  # fmt: skip
            return [(kind, used) for kind, used in rows]

    def exceptions(self) -> list[MeteringException]:
        with self.database.read() as session:
            return list(session.scalars(select(MeteringException).order_by(MeteringException.id)))

    def evidence(self, export: BillExport) -> str:
        """The digest that was signed."""
        body = rig.query(self.path, "SELECT body FROM evidence WHERE id = ?", export.evidence_id)[
            0
        ][0]
        return str(json.loads(body)["digest"])
