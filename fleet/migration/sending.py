"""`kapok migrate send`: which steps an item's plug-in has, whether they may be sent now, and what
is put on record of each.
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.migration import answers, moves, planner, plugins, scheduling, states, wave_list, work
from fleet.migration.breaches import LedgerError
from fleet.migration.desk import Desk, Office
from fleet.migration.errors import MigrationError
from fleet.migration.plugins import Answer, Step
from fleet.migration.states import Actor
from fleet.migration.swap_tables import WorkOrder
from fleet.migration.tables import MigrationItem

PATH: Final = "configuration"
TO, BACK = "to", "back"
_KIND = "configured"  # of evidence: each step as it was sent, and what came of it


class Job(NamedTuple):
    """What is to be sent to one terminal. `way`: TO or BACK; `order`: the work order to be told
    when it is done, None: there is none; `number`: of its card, "": not known.
    """

    programme: str
    terminal: str
    terminal_id: str
    item_id: int
    state: str
    way: str
    steps: tuple[Step, ...]
    has_back: bool
    order: int | None
    number: str


class Said(NamedTuple):
    """What a terminal answered to a step; where that is empty, `why`. `was_sent`: False where it
    is sure that it was not.
    """

    answer: str
    why: str = ""
    was_sent: bool = True


class Done(NamedTuple):
    """What came of a step, without secrets."""

    by: str
    send: str
    answer: str
    good: bool
    why: str
    was_sent: bool


class Post(Protocol):
    """A way to a terminal."""

    async def ask(self, step: Step) -> Said:
        """Send a step's text; what is answered within the post's own deadline."""


def job(
    session: Session, name: str, number: str, way: str, values: Mapping[str, str], folder: Path
) -> Job:
    """What to send to a terminal of a programme; MigrationError or LedgerError where that cannot
    be, or not now.
    """
    programme = planner.get(session, name)
    found = wave_list.items(session, programme, number=number) if number else []
    if not found:
        raise MigrationError(f"terminal {number[:40]!r} is no part of {name}")
    item = session.get_one(MigrationItem, found[0].id)
    order = session.scalar(
        select(WorkOrder.id).where(WorkOrder.item_id == item.id, WorkOrder.state.in_(work.OPEN))
    )
    _check(item, way, order)
    subject, _ = scheduling.steps(session, programme, number)
    model = "" if subject is None or subject.model is None else subject.model.configured_by
    known = plugins.load(folder)
    if model not in known:
        raise MigrationError(
            f"terminal {number[:40]}: plug-in {model!r} is unknown: of {', '.join(known)}; "
            "the column configured_by of kapok migrate import --tacs names it"
        )
    plugin = known[model]
    make = plugins.steps if way == TO else plugins.undo
    several = tuple(make(plugin, item.bearer, values))
    if not several:
        raise MigrationError(f"the plug-in {model} has no steps for {item.bearer}")
    return Job(
        name, number, item.old_terminal_id, item.id, item.state, way,
        several, item.bearer in plugin.back, order,
        "" if subject is None else subject.row.msisdn,
    )  # fmt: skip


def _check(item: MigrationItem, way: str, order: int | None) -> None:
    who = f"item {item.id} ({item.old_terminal_id})"
    if item.path != PATH:
        raise LedgerError(f"{who} is a {item.path}: only a {PATH} is sent")
    if way == BACK:
        if not states.may(Actor.PERSON, item.state, states.ROLLED_BACK):
            raise LedgerError(f"{who} is {item.state}: there is nothing to take back")
    elif item.state != states.READY or order is None:
        raise LedgerError(f"{who} is {item.state}, not {states.READY}: kapok migrate work ready")


async def carry_out(
    office: Office, job: Job, person: str, values: Mapping[str, str], post: Post,
    tell: Callable[[Done], None] = lambda _: None,
) -> list[Done]:  # fmt: skip
    """Send the steps until one is not answered as expected. Each is put on record before it is
    sent, if the item still may be told it, and again with its answer.
    """
    done: list[Done] = []
    told: list[Said] = []

    async def send(step: Step) -> str:
        _note(
            office, job, person, {"step": len(told) + 1, "send": plugins.masked(step.send, values)}
        )
        said = await post.ask(step)
        told.append(said)
        return said.answer

    def ended(one: Answer) -> None:
        said = told[-1]
        made = Done(
            one.step.by, plugins.masked(one.step.send, values),
            plugins.masked(answers.one_line(one.answer), values), one.good,
            plugins.masked(said.why, values), said.was_sent,
        )  # fmt: skip
        done.append(made)
        _note(office, job, person, {"step": len(done), **made._asdict()})
        tell(made)

    sending: Callable[[Step], Awaitable[str]] = send
    await plugins.carry_out(list(job.steps), sending, ended)
    return done


def _note(office: Office, job: Job, person: str, body: Mapping[str, object]) -> None:
    with office.database.begin() as session:
        desk: Desk = office.desk(session, Actor.PERSON, person)
        (item,) = moves.find(desk, [job.item_id])
        if "good" not in body:  # what was sent is noted, whatever the item is by now
            _check(item, job.way, job.order)
            if job.way == BACK:
                moves.check(desk, item, states.ROLLED_BACK)
        whole = {"way": job.way, "terminal": job.terminal_id, **body}
        desk.note(_KIND, whole, item_id=item.id, asset_id=item.asset_id)
        desk.store_evidence()


def outcome(job: Job, done: list[Done]) -> str:
    """What is to be done next, in one line."""
    again = f"kapok migrate send {job.programme} --terminal {job.terminal}"
    if len(done) == len(job.steps) and all(one.good for one in done):
        if job.way == TO:
            return f"kapok migrate work done {job.order} --old {job.terminal_id}"
        if job.state == states.READY:
            return "it is as it was"
        return f"kapok migrate rollback {job.programme} --item {job.item_id} --reason ..."
    last = done[-1]
    said = f"answered {last.answer!r}" if last.answer else last.why or "no answer"
    if last.answer and last.why:
        said += f" ({last.why})"
    line = f"step {len(done)} of {len(job.steps)} ({last.send}): {said}"
    if len(done) == 1 and not last.was_sent:
        return f"{line}; nothing was sent: run it again"
    if job.way == BACK or not job.has_back:
        return f"{line}; nothing more was sent: run it again, which begins with the first step"
    return f"{line}; nothing more was sent: {again} --back takes it back"
