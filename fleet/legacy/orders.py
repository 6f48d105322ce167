"""Orders: a text that a box is to be told on its own connection, passed to the process that has
it.

An order is open, then sent by the one process that claimed it, then ended: answered, silent (no
answer in time), withdrawn (its deadline came first), refused (no text for a box), or unknown
(nobody knows whether it was done). None is ever sent twice.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleet.errors import Refusal
from fleet.legacy.tables import LegacyOrder
from fleet.legacy.words import only_words

OPEN, SENT = "open", "sent"
ANSWERED, SILENT, WITHDRAWN, REFUSED, UNKNOWN = (
    "answered", "silent", "withdrawn", "refused", "unknown",
)  # fmt: skip
MOST_EXPECTED = 200  # characters of the pattern of an answer
GRACE_US = 30 * 1_000_000  # behind its deadline an order of a process that died is ended


class OrderError(Refusal, ValueError):
    """An order that cannot be given."""


class Order(NamedTuple):
    """What waits to be sent, or was; times in us."""

    id: int
    terminal_id: str
    state: str
    text: str
    expects: str
    made_us: int
    expires_us: int
    answer: str


def place(
    session: Session,
    terminal_id: str,
    text: str,
    expects: str,
    person: str,
    times: tuple[int, int],
) -> int:
    """Give an order, `times`: now and its deadline, us; its number. NotWords for a text that no
    box is sent; OrderError while another one of this terminal is not ended.
    """
    only_words(text)
    if len(expects) > MOST_EXPECTED:
        raise OrderError(f"a pattern has {MOST_EXPECTED} characters at most, not {len(expects)}")
    settle(session, times[0], terminal_id)
    row = LegacyOrder(
        terminal_id=terminal_id, open_for=terminal_id, state=OPEN, text=text,
        expects=expects, person=person, made_us=times[0], expires_us=times[1],
        sent_us=None, ended_us=None, answer="",
    )  # fmt: skip
    session.add(row)
    try:
        session.flush()
    except IntegrityError:
        raise OrderError(
            f"terminal {terminal_id} is being told something by another command: wait for its end"
        ) from None
    return row.id


def waiting(session: Session) -> list[Order]:
    """All that are not ended, oldest first."""
    return _read(session, LegacyOrder.open_for.is_not(None))


def get(session: Session, number: int) -> Order:
    """One order."""
    return _read(session, LegacyOrder.id == number)[0]


def claim(session: Session, number: int, now_us: int) -> bool:
    """Whether the caller, and nobody else, is to send it now."""
    return _change(
        session, (LegacyOrder.id == number, LegacyOrder.state == OPEN,
                  LegacyOrder.expires_us > now_us),
        {"state": SENT, "sent_us": now_us},
    )  # fmt: skip


def end(session: Session, number: int, state: str, answer: str, now_us: int) -> bool:
    """Tell what became of one that was sent; whether it was not ended before."""
    return _change(
        session, (LegacyOrder.id == number, LegacyOrder.state == SENT),
        {"state": state, "answer": answer, "open_for": None, "ended_us": now_us},
    )  # fmt: skip


def withdraw(session: Session, number: int, now_us: int) -> bool:
    """Take one back that nobody has sent; whether that was so."""
    return _change(
        session, (LegacyOrder.id == number, LegacyOrder.state == OPEN),
        {"state": WITHDRAWN, "open_for": None, "ended_us": now_us},
    )  # fmt: skip


def settle(session: Session, now_us: int, terminal_id: str = "") -> None:
    """End those whose deadline is over and of which nobody tells any more: what was sent may have
    been done or not.
    """
    mine = () if not terminal_id else (LegacyOrder.terminal_id == terminal_id,)
    for before, after, grace in ((OPEN, WITHDRAWN, 0), (SENT, UNKNOWN, GRACE_US)):
        late = LegacyOrder.expires_us <= now_us - grace
        _change(
            session, (LegacyOrder.state == before, late, *mine),
            {"state": after, "open_for": None, "ended_us": now_us},
        )  # fmt: skip


def _change(session: Session, those: Sequence[object], values: dict[str, object]) -> bool:
    done = session.execute(update(LegacyOrder).where(*those).values(**values))  # type: ignore[arg-type]
    return bool(done.rowcount)  # type: ignore[attr-defined]


def _read(session: Session, condition: object) -> list[Order]:
    columns = [getattr(LegacyOrder, name) for name in Order._fields]
    rows = session.execute(
        select(*columns).where(condition).order_by(LegacyOrder.id)  # type: ignore[arg-type]
    )
    return [Order(*row) for row in rows]
