"""When networks end, and what modems can: both come in as sheets, and the planner asks them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.migration import columns
from fleet.migration.entries import BEARERS, day_of
from fleet.migration.errors import MigrationError
from fleet.migration.inventory_tables import Sunset, TacModel
from fleet.migration.sheets import Line, Sheet

SUNSET_COLUMNS = ("bearer", "day")
TAC_COLUMNS = ("tac", "bearers")
_MODULES = ("socket", "soldered", "")


class Sunsets:
    """All of them: the most exact area counts, and before it the operator."""

    def __init__(self, session: Session) -> None:
        self._days = {
            (row.operator, row.bearer, row.area): row.day
            for row in session.scalars(select(Sunset))
        }

    def day(self, operator: str, bearer: str, area: str) -> int | None:
        """The first day without it, since 1970; None: nobody said."""
        for whose in (operator, "") if operator else ("",):
            for length in range(len(area), -1, -1):
                found = self._days.get((whose, bearer, area[:length]))
                if found is not None:
                    return found
        return None


class Taken(NamedTuple):
    """What became of a line of either sheet."""

    line: int
    outcome: str
    fault: str


def take_sunsets(session: Session, sheet: Sheet) -> Iterator[Taken]:
    """Operator, bearer, area ("": all of them) and day; a later sheet corrects an earlier one."""
    for line in sheet:
        try:
            row = _sunset(line, f"{sheet.name}:{line.number}"[-120:])
        except MigrationError as e:
            yield Taken(line.number, "refused", str(e))
            continue
        session.merge(row)
        yield Taken(line.number, "taken", "")
    session.flush()


def take_tacs(session: Session, sheet: Sheet) -> Iterator[Taken]:
    """Type allocation codes with the bearers of what they are; module: socket or soldered."""
    for line in sheet:
        try:
            row = _model(line)
        except MigrationError as e:
            yield Taken(line.number, "refused", str(e))
            continue
        session.merge(row)
        yield Taken(line.number, "taken", "")
    session.flush()


def _sunset(line: Line, source: str) -> Sunset:
    bearer, area = columns.word(line.get("bearer")), line.get("area")
    day = day_of(line.get("day"))
    if bearer not in BEARERS:
        raise MigrationError(f"bearer {bearer[:24]!r}: one of {', '.join(BEARERS)}")
    if not re.fullmatch("[0-9]{0,12}", area):
        raise MigrationError(f"area {area[:24]!r}: a code of digits, or nothing for everywhere")
    if day is None:
        raise MigrationError(f"day {line.get('day')[:24]!r}: such as 2027-12-31")
    operator = columns.word(line.get("operator"))[:16]
    return Sunset(operator=operator, bearer=bearer, area=area, day=day, source=source)


def _model(line: Line) -> TacModel:
    tac, module = line.get("tac"), columns.word(line.get("module"))
    bearers = columns.words(line.get("bearers")).split()
    if not re.fullmatch("[0-9]{8}", tac):
        raise MigrationError(f"TAC {tac[:24]!r}: the first 8 digits of an IMEI")
    wrong = [each for each in bearers if each not in BEARERS]
    if wrong or not bearers:
        raise MigrationError(f"bearers {line.get('bearers')[:24]!r}: of {', '.join(BEARERS)}")
    if module not in _MODULES:
        raise MigrationError(f"module {module[:24]!r}: socket or soldered")
    ordered = " ".join(each for each in BEARERS if each in bearers)
    return TacModel(
        tac=tac, model=line.get("model")[:64], bearers=ordered,
        module=module, configured_by=line.get("configured_by")[:24],
    )  # fmt: skip
