"""Every change of an update's state, in the caller's transaction: what is not allowed changes
nothing, and what is is counted for its group.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.rollouts import counting, states
from fleet.rollouts.errors import MoveError
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Update

DAY_S = 86400
# The clocks where nobody gave others with the offer.
ABSOLUTE_S = 14 * DAY_S
STEP_S = 4 * DAY_S
RETRY_S = 6 * 3600  # until a failed one may be tried again; doubled with each attempt
MOST_HISTORY = 2000  # characters; some 40 moves
REASON = 40  # characters
_CHUNK = 500


def move(
    session: Session, ids: Iterable[int], to: str, actor: Actor, now_us: int,
    reason: str = "", mark: int | None = None,
) -> list[int]:  # fmt: skip
    """Move updates to the state `to`, as far as `actor` may (states.py); the ids that moved.

    News of the same state with a higher `mark` (bytes of the stream) begin the step clock anew.
    To OFFERED only where the node has no other update in flight; `absolute_us` and `step_s` are
    the caller's to set on the row before, else two weeks and four days. FAILED and TIMED_OUT
    use up an attempt, and are due for another one later; when a person schedules it anew,
    attempts begin anew. MoveError when `actor` never may.
    """
    if not states.ever(actor, to):
        raise MoveError(f"{actor} never moves an update to {to!r}: see fleet/rollouts/states.py")
    wanted = sorted(set(ids))
    moved: list[int] = []
    changes = counting.Changes()
    for start in range(0, len(wanted), _CHUNK):
        rows = _rows(session, wanted[start : start + _CHUNK])
        rows = [row for row in rows if states.may(actor, row.state, to)]
        if to == states.OFFERED:
            rows = _free(session, rows)
        for row in rows:
            if row.state == to and actor is Actor.NODE:
                if mark is None or mark <= row.mark:
                    continue
                row.mark, row.moved_us = mark, now_us
                _step(row, now_us)
            else:
                _change(row, to, actor, now_us, reason, mark, changes)
            moved.append(row.id)
        session.flush()  # one executemany; the constraint on open_for speaks here
    changes.write(session)
    return moved


def _rows(session: Session, ids: Sequence[int]) -> list[Update]:
    session.flush()  # what the caller set on the rows
    return list(
        session.scalars(
            select(Update)
            .where(Update.id.in_(ids))
            .order_by(Update.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def _free(session: Session, rows: list[Update]) -> list[Update]:
    """Those whose node has no other update in flight; of two of one node the first."""
    nodes = [row.node_id for row in rows]
    flying = select(Update.open_for, Update.id).where(Update.open_for.in_(nodes))
    taken = {node_id: identifier for node_id, identifier in session.execute(flying)}  # noqa: C416
    free = []
    for row in rows:
        if taken.setdefault(row.node_id, row.id) == row.id:
            free.append(row)
    return free


def _change(
    row: Update, to: str, actor: Actor, now_us: int, reason: str, mark: int | None,
    changes: "counting.Changes",
) -> None:  # fmt: skip
    before = (row.state, states.is_error(row.state, row.attempts))
    # What failed has a reason, if only that: it is found by it.
    row.reason = reason[:REASON] or (to if to in states.BAD else "")
    row.state, row.moved_us = to, now_us
    if len(row.history) < MOST_HISTORY or to in states.FINAL:
        row.history += f"{now_us} {to} {actor} {reason[:REASON]}\n"
    if mark is not None:
        row.mark = mark
    row.due_us = None
    if to in states.COUNTED:
        row.attempts += 1
        if row.attempts < states.MOST_ATTEMPTS:
            row.due_us = now_us + (RETRY_S << min(row.attempts - 1, 5)) * 1_000_000
    elif to == states.SCHEDULED:
        row.number, row.due_us = None, now_us
        if actor is Actor.PERSON:
            row.attempts = 0
    if to == states.OFFERED:
        if before[0] not in states.OPEN:  # else the same attempt goes on
            row.offered_us = now_us
        row.open_for, row.mark = row.node_id, 0
        if row.absolute_us is None:
            row.absolute_us = now_us + ABSOLUTE_S * 1_000_000
    if to in states.OPEN:
        _step(row, now_us)
    else:
        row.open_for = row.absolute_us = row.step_us = row.step_s = None
    changes.note(row, before, (to, states.is_error(to, row.attempts)))


def _step(row: Update, now_us: int) -> None:
    absolute = row.absolute_us
    step = now_us + (row.step_s or STEP_S) * 1_000_000
    row.step_us = step if absolute is None else min(step, absolute)
