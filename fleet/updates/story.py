"""Why a node runs what it runs: what it was offered, what it answered, what it waits for. Facts
for whoever words them (wording.py).
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.control.tables import Downlink
from fleet.identity import hmac_keys
from fleet.registry.operations import show_node
from fleet.rollouts import lifecycle, states
from fleet.rollouts.tables import Rollout, Update
from fleet.updates import shelf
from fleet.updates.stamping import parts_of
from fleet.updates.tables import Assigned, Running
from fleet.wire import release

UPDATES = 10  # of a node, the newest

_WHOLE = {
    release.PLAIN: "whole", release.DEFLATED: "whole", release.DELTA: "delta",
    release.FETCHED: "fetched",
}  # fmt: skip


class Line(NamedTuple):
    """What happened at `at_us`: the key of a text, `story.<what>`, and what it is filled with."""

    at_us: int
    what: str
    values: dict[str, Any]


class Waits(NamedTuple):
    """What is waited for: the key of a text, `waits.<what>`; `until_us`: its deadline, `again_us`:
    when the fleet looks at it the next time. None: there is none.
    """

    what: str
    values: dict[str, Any]
    until_us: int | None = None
    again_us: int | None = None


class Story(NamedTuple):
    """`runs`: release, image, runtime and since when; None before the node said so."""

    node_id: str
    state: str
    last_report_us: int | None
    runs: dict[str, int] | None
    lines: list[Line]
    waits: Waits


def story(session: Session, node_id: str) -> Story:
    """Of one node; RegistryError where there is none."""
    node = show_node(session, node_id)
    running = session.get(Running, node_id)
    updates = session.execute(
        select(Update, Rollout.name, Rollout.state)
        .join(Rollout, Rollout.id == Update.rollout_id)
        .where(Update.node_id == node_id)
        .order_by(Update.id.desc())
        .limit(UPDATES)
    ).all()
    items = _items(session, node_id)
    lines = [line for row, name, _ in updates for line in _moves(row, name)]
    lines += [line for row, handed_us in items for line in _of_item(row, handed_us)]
    runs = None
    if running is not None:
        names = ("sequence", "image", "runtime", "since_us")
        runs = {name: getattr(running, name) for name in names}
    handed = {row.number: handed_us for row, handed_us in items}
    return Story(
        node_id, node.state, node.last_report_us, runs, sorted(lines, key=lambda line: line.at_us),
        _waits(session, node.state, node.last_report_us, updates, handed),
    )  # fmt: skip


def _items(session: Session, node_id: str) -> list[tuple[Assigned, int | None]]:
    rows = session.execute(
        select(Assigned, Downlink.handed_us)
        .outerjoin(
            Downlink,
            (Downlink.node_id == Assigned.node_id) & (Downlink.number == Assigned.number),
        )
        .where(Assigned.node_id == node_id)
        .order_by(Assigned.number.desc())
        .limit(4 * UPDATES)
    )
    return [(row, handed_us) for row, handed_us in rows]


def _moves(row: Update, rollout: str) -> Iterable[Line]:
    """Of the history that moves.py writes: "us state actor reason", a line each."""
    for text in row.history.splitlines():
        at_us, state, actor, reason = (*text.split(" ", 3), "")[:4]
        yield Line(
            int(at_us), f"moved-{actor}",
            {"state": state, "reason": reason, "rollout": rollout, "sequence": row.sequence},
        )  # fmt: skip


def _of_item(row: Assigned, handed_us: int | None) -> Iterable[Line]:
    values: dict[str, Any] = {
        "number": row.number, "sequence": row.sequence, "size": row.size, "form": _form(row),
    }  # fmt: skip
    given = "assigned" if row.sequence else "taken-back"
    yield Line(row.made_us, f"{given}-queued", values)
    if handed_us is not None:
        yield Line(handed_us, f"{given}-handed", values)
    if row.withdrawn_us is not None:
        yield Line(row.withdrawn_us, "withdrawn", values)
    if row.ended_us is not None:
        yield Line(row.ended_us, "told", {**values, "result": row.result, "detail": row.detail})


def _form(row: Assigned) -> str:
    forms = [_WHOLE.get(form, "whole") for _kind, form, _size, _base in parts_of(row.parts)]
    return "delta" if "delta" in forms else forms[-1] if forms else ""


def _waits(
    session: Session, state: str, last_report_us: int | None, updates: Any,
    handed: dict[int, int | None],
) -> Waits:  # fmt: skip
    if state != "active":
        return Waits("state", {"state": state})
    if not updates:
        return Waits("no-update", {})
    open_ones = [each for each in updates if each[0].state in states.OPEN]
    scheduled = [each for each in updates if each[0].state == states.SCHEDULED]
    row, rollout, rollout_state = (open_ones or scheduled or list(updates))[0]
    values: dict[str, Any] = {
        "rollout": rollout, "sequence": row.sequence, "number": row.number, "mark": row.mark,
        "size": _size(session, row), "group": row.group_no, "reason": row.reason,
        "attempts": row.attempts, "rollout_state": rollout_state, "state": row.state,
        "last_report_us": last_report_us,
    }  # fmt: skip
    if row.state in states.OPEN:
        return Waits(_open(session, row, handed, values), values, row.step_us)
    if row.state == states.SCHEDULED:
        what = _scheduled(session, row, rollout_state)
    elif row.state not in states.COUNTED or row.due_us is None:
        what = "ended"
    else:
        what = "again" if rollout_state == lifecycle.RUNNING else "rollout"
    return Waits(what, values, again_us=row.due_us if what in ("again", "condition") else None)


def _open(
    session: Session, row: Update, handed: dict[int, int | None], values: dict[str, Any]
) -> str:  # fmt: skip
    if row.state != states.OFFERED:
        return str(row.state)
    if not shelf.may_be_given(session, row.sequence):
        return "revoked"
    number = row.number or 0
    if handed.get(number) is None:
        return "contact"
    values["handed_us"] = handed[number]
    return "handed"


def _scheduled(session: Session, row: Update, rollout_state: str) -> str:
    if rollout_state != lifecycle.RUNNING:
        return "rollout"
    if not hmac_keys.holders(session, [row.node_id]):
        return "key"
    return "condition" if row.reason else "turn"


def _size(session: Session, row: Update) -> int | None:
    return session.scalar(
        select(Assigned.size).where(
            Assigned.node_id == row.node_id, Assigned.number == (row.number or 0)
        )
    )
