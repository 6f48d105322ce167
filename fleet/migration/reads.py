"""The readings of terminals' registers, for many assets in one statement."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from sqlalchemy import BigInteger, Integer, String, column, select, values
from sqlalchemy.orm import Session

from fleet.migration.scaling import Meaning, Read, quantities_of
from fleet.telemetry.operations import QUALITIES
from fleet.telemetry.tables import Reading

_AT_ONCE = 500  # wants in one statement
_SUSPECT = QUALITIES.index("suspect")


class Want(NamedTuple):
    """A terminal's readings of an asset's register, from one true time to another, in us, both
    included.
    """

    asset_id: int
    register: int
    terminal_id: str
    meaning: Meaning
    since_us: int
    until_us: int


def fetch(session: Session, wants: Sequence[Want]) -> list[list[Read]]:
    """For each want its readings, oldest first; of several at one time the one stored first comes
    first. Suspect ones are left out, and those of a wrong clock whose shift nobody has told.
    """
    found: list[list[Read]] = [[] for _ in wants]
    by_register: dict[int, list[int]] = defaultdict(list)
    for place, want in enumerate(wants):
        by_register[want.register].append(place)
    for register, places in by_register.items():
        rest = iter(places)
        while part := list(islice(rest, _AT_ONCE)):
            _fetch(session, wants, part, quantities_of(register), found)
    return found


def _fetch(
    session: Session, wants: Sequence[Want], part: Iterable[int], quantities: tuple[int, ...],
    found: list[list[Read]],
) -> None:  # fmt: skip
    wanted = (
        values(
            column("place", Integer), column("asset_id", Integer), column("terminal_id", String),
            column("since_us", BigInteger), column("until_us", BigInteger), name="wanted",
        )
        .data(
            [
                (
                    place, wants[place].asset_id, wants[place].terminal_id,
                    wants[place].meaning.own_us(wants[place].since_us),
                    wants[place].meaning.own_us(wants[place].until_us),
                )
                for place in part
            ]
        )
        .cte("wanted")
    )  # fmt: skip
    rows = session.execute(
        select(wanted.c.place, Reading.time_us, Reading.value, Reading.clock_off)
        .select_from(wanted)
        .join(
            Reading,
            (Reading.asset_id == wanted.c.asset_id)
            & Reading.quantity.in_(quantities)
            & (Reading.time_us >= wanted.c.since_us)
            & (Reading.time_us <= wanted.c.until_us),
        )
        .where(Reading.terminal_id == wanted.c.terminal_id, Reading.quality != _SUSPECT)
        .order_by(wanted.c.place, Reading.time_us, Reading.id)
    )
    for place, time_us, value, clock_off in rows:
        meaning = wants[place].meaning
        if clock_off and not meaning.clock_shift_s:
            continue
        found[place].append(Read(meaning.true_us(time_us), value))
