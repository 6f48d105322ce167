"""What a programme comes to: items by bearer and path, money, work and time."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.migration import rules as rule_files
from fleet.migration.rules import Rules
from fleet.migration.tables import MigrationItem, MigrationProgramme

HEADINGS = ["bearer", "path", "terminals", "hours", "yuan"]


class Share(NamedTuple):
    """Terminals of one bearer and path; a technician's minutes, and hundredths of a yuan."""

    bearer: str
    path: str
    terminals: int
    minutes: int
    fen: int


@dataclass(frozen=True)
class Summary:
    """`first_day` and `last_day` of the visits, days since 1970, None without waves."""

    shares: tuple[Share, ...]
    waves: int
    first_day: int | None
    last_day: int | None
    without_wave: int

    @property
    def terminals(self) -> int:
        """All of them."""
        return sum(one.terminals for one in self.shares)

    @property
    def minutes(self) -> int:
        """Of technicians at the places."""
        return sum(one.minutes for one in self.shares)

    @property
    def fen(self) -> int:
        """Hundredths of a yuan."""
        return sum(one.fen for one in self.shares)

    def rows(self) -> list[list[str]]:
        """For a table with HEADINGS."""
        return [
            [one.bearer, one.path, str(one.terminals), hours(one.minutes), yuan(one.fen)]
            for one in self.shares
        ]

    def line(self) -> str:
        """Cost and time in one line."""
        text = (
            f"{self.terminals} terminals, {hours(self.minutes)} h of visits, {yuan(self.fen)} yuan"
        )
        if self.first_day is None or self.last_day is None:
            return f"{text}; no waves yet: kapok migrate waves"
        return f"{text}; {self.waves} waves, {iso_day(self.first_day)} to {iso_day(self.last_day)}"

    def as_json(self) -> dict[str, Any]:
        """The same for programs; money in fen, work in minutes."""
        return {
            "terminals": self.terminals, "minutes": self.minutes, "fen": self.fen,
            "waves": self.waves, "first_day": iso_day(self.first_day),
            "last_day": iso_day(self.last_day), "without_wave": self.without_wave,
            "shares": [one._asdict() for one in self.shares],
        }  # fmt: skip


def of(session: Session, programme: MigrationProgramme) -> Summary:
    """By the rules that the programme was planned with."""
    chosen = rule_files.read(programme.rules, f"the rules of {programme.name}")
    mine = MigrationItem.programme_id == programme.id
    counts = Counter(
        {
            (bearer, path): count
            for bearer, path, count in session.execute(
                select(MigrationItem.bearer, MigrationItem.path, func.count())
                .where(mine)
                .group_by(MigrationItem.bearer, MigrationItem.path)
            )
        }
    )
    waves, first, last, waved = session.execute(
        select(
            func.max(MigrationItem.wave), func.min(MigrationItem.due_day),
            func.max(MigrationItem.due_day), func.count(MigrationItem.wave),
        ).where(mine)
    ).one()  # fmt: skip
    return Summary(shares(counts, chosen), waves or 0, first, last, counts.total() - waved)


def shares(counts: Counter[tuple[str, str]], chosen: Rules) -> tuple[Share, ...]:
    """Of (bearer, path) pairs: in the order of the targets, then of the paths."""
    return tuple(
        Share(bearer, path, count, count * way.minutes, count * way.fen)
        for (bearer, path), count in sorted(counts.items(), key=_order)
        for way in (chosen.path(path),)
    )


def _order(one: tuple[tuple[str, str], int]) -> tuple[int, int]:
    (bearer, path), _count = one
    return rule_files.TARGETS.index(bearer), rule_files.PATHS.index(path)


def count(pairs: Iterable[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Of (bearer, path) pairs."""
    return Counter(pairs)


def yuan(fen: int) -> str:
    """With two decimals."""
    return f"{fen // 100}.{fen % 100:02d}"


def hours(minutes: int) -> str:
    """With one decimal, rounded up: half a visit does not exist."""
    tenths = -(-minutes // 6)
    return f"{tenths // 10}.{tenths % 10}"


def iso_day(day: int | None) -> str:
    """Days since 1970 as ISO 8601; empty for None."""
    return "" if day is None else (date(1970, 1, 1) + timedelta(days=day)).isoformat()
