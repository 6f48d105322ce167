"""Random months of two meters whose readings come in time, late, wrong or never, are read daily
and billed now and then. Whatever comes: parts add up to the whole, no bill goes back, no export
changes.
"""

import itertools
import os
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from ledger_rig import keys
from metering_rig import FIRST, Street

from fleet.migration import audit
from fleet.telemetry.metering import days
from fleet.telemetry.metering.bill_tables import BillExport

LIVES = int(os.environ.get("KAPOK_METERS", "8"))  # make soak-metering plays more
SPIKE = 30_000_000  # far over any use


class Event(NamedTuple):
    """A day of a meter: litres, days until its reading comes (None: never), if that is wrong."""

    litres: int
    late: int | None
    wrong: bool


event = st.builds(
    Event,
    st.sampled_from([0, 0, 400, 700, 1300, 8000]),
    st.sampled_from([0, 0, 0, 0, 1, 4, 9, None]),
    st.sampled_from([False, False, False, False, False, True]),
)
day = st.tuples(event, event, st.sampled_from(["", "", "", "close", "close late", "no run"]))


class Life:
    """Two meters; `sent` is what was delivered, and must stay."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.street = Street(folder, 2)
        self.coming: list[tuple[int, int, int, bool]] = []  # when, place, day, wrong
        self.sent: dict[int, tuple[str, str]] = {}
        self.never: set[tuple[int, int]] = set()

    def play(self, events: list[tuple[Event, Event, str]]) -> None:
        for one, two, what in events:
            street = self.street
            street.pass_day(one.litres, two.litres, told=[])
            for place, told in enumerate((one, two)):
                if told.late is None or told.wrong:
                    self.never.add((place, street.day))
                if told.late is not None:
                    self.coming.append((street.day + told.late, place, street.day, told.wrong))
            self.arrive(street.day)
            if what != "no run":
                street.read()
            if what.startswith("close"):
                self.close(street.day - (2 if what == "close late" else 0))

    def arrive(self, until: int) -> None:
        for row in [row for row in self.coming if row[0] <= until]:
            self.coming.remove(row)
            _, place, day_, wrong = row
            self.street.tell(place, day_, SPIKE if wrong else None)

    def close(self, through: int) -> BillExport | None:
        last = max((int(days.ended(e.to_us)) for e in self.exports()), default=FIRST)
        if through <= last:
            return None
        made = self.street.close_bill(through)
        self.sent[made.id] = (self.street.file(made), str(made.digest))
        return made

    def exports(self) -> list[BillExport]:
        from sqlalchemy import select

        with self.street.database.read() as session:
            return list(session.scalars(select(BillExport).order_by(BillExport.id)))

    def end(self) -> None:
        """All that ever comes is there, more days come in time, until what was estimated too high
        has been used, and all is billed.
        """
        street = self.street
        self.arrive(1 << 30)
        for _ in range(3):
            street.pass_day(500, 500)
        street.read()
        for place in range(2):
            while (lines := street.lines(place)) and (
                lines[-1].to_index > street.truth[place, street.day]
            ):
                street.pass_day(9000, 9000)
        street.read()
        self.close(street.day)


def parts_add_up(life: Life, cuts: list[int]) -> None:
    street, last = life.street, life.street.day
    span = last - FIRST
    bounds = sorted({FIRST + 1, last + 1, *(FIRST + 1 + cut % span for cut in cuts)})
    for place in range(2):
        whole = street.used(place, FIRST + 1, last + 1)
        pieces = [street.used(place, a, b) for a, b in itertools.pairwise(bounds)]
        assert sum(pieces) == whole
        assert min(pieces) >= 0
        assert whole == street.truth[place, last] - street.truth[place, FIRST]
        reads = street.reads(place)
        for day_ in range(FIRST, last + 1):
            if (place, day_) not in life.never:
                assert reads[day_].at_index == street.truth[place, day_]
                assert reads[day_].method == "read"


def bills_add_up(life: Life) -> None:
    street = life.street
    for place in range(2):
        lines = street.lines(place)
        assert all(line.to_index >= line.from_index for line in lines)
        assert all(a.to_index == b.from_index for a, b in itertools.pairwise(lines))
        billed = [line.to_index - line.from_index for line in lines]
        told = [sum(used for _, used in street.shares(e, place)) for e in life.exports()]
        assert told == billed
        usage = [
            used
            for e in life.exports()
            for kind, used in street.shares(e, place)
            if kind != "carried"
        ]
        # By now nothing is billed ahead: the periods are told as what flowed in them.
        assert sum(usage) == street.truth[place, street.day] - street.truth[place, FIRST]
        assert lines[-1].to_index == street.truth[place, street.day]


def nothing_sent_changed(life: Life) -> None:
    for made in life.exports():
        assert life.sent[made.id] == (life.street.file(made), made.digest)
        assert life.street.evidence(made) == made.digest
    assert life.street.verify() == ""
    found = audit.audit(life.street.database, "2g", keys())
    assert found.breach is None, found.breach.line()


@given(st.lists(day, min_size=1, max_size=25), st.lists(st.integers(0, 60), max_size=5))
@hypothesis_settings(
    max_examples=LIVES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.generate),  # a life takes long: none is made shorter
)  # fmt: skip
def test_whatever_comes_when_all_is_billed_once(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[Event, Event, str]],
    cuts: list[int],
) -> None:  # fmt: skip
    life = Life(tmp_path_factory.mktemp("street") / "data")
    try:
        life.play(events)
        life.end()
        parts_add_up(life, cuts)
        bills_add_up(life)
        nothing_sent_changed(life)
    finally:
        life.street.close()
