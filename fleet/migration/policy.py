"""A programme's times: how long a dual run is, which gap is an estimate, until when to go back."""

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy.orm import Session

from fleet.migration.breaches import LedgerError
from fleet.migration.swap_tables import LedgerPolicy
from fleet.migration.tables import MigrationProgramme

if TYPE_CHECKING:
    from fleet.migration.desk import Desk

KIND: Final = "policy"  # of the evidence
DAY_S = 86400
US = 1_000_000


class Policy(NamedTuple):
    """`compared`: readings that must agree. `most_per_day`: more than this from one reading to
    the next, or to a dial that somebody typed, is a mistake, in the register's scale (litres of
    gas, 10 Wh).
    """

    dual_s: int = 7 * DAY_S
    compared: int = 5
    gap_s: int = 2 * DAY_S
    rollback_s: int = 30 * DAY_S
    most_per_day: int = 500_000


def of(session: Session, programme_id: int) -> Policy:
    """The programme's, or the default."""
    row = session.get(LedgerPolicy, programme_id)
    if row is None:
        return Policy()
    return Policy(row.dual_s, row.compared, row.gap_s, row.rollback_s, row.most_per_day)


def keep(desk: "Desk", programme_id: int, policy: Policy) -> None:
    """Give a programme its own, and put it on record; LedgerError for one without sense."""
    session = desk.session
    if session.get(MigrationProgramme, programme_id) is None:
        raise LedgerError(f"there is no programme id:{programme_id}: kapok migrate show")
    for name, value, least, most in (
        ("dual_s", policy.dual_s, 0, 400 * DAY_S), ("compared", policy.compared, 1, 10_000),
        ("gap_s", policy.gap_s, 60, 400 * DAY_S),
        ("rollback_s", policy.rollback_s, 0, 400 * DAY_S),
        ("most_per_day", policy.most_per_day, 1, 10**12),
    ):  # fmt: skip
        if not least <= value <= most:
            raise LedgerError(f"{name} {value}: {least} to {most}")
    row = session.get(LedgerPolicy, programme_id)
    if row is None:
        session.add(LedgerPolicy(programme_id=programme_id, **policy._asdict()))
    else:
        for name, value in policy._asdict().items():
            setattr(row, name, value)
    desk.note(KIND, {"programme": programme_id, **policy._asdict()})
    desk.done([])
