"""Ask for a command, approve it, take it back; in the caller's transaction.

Whom it is for is fixed when it is asked for: who approves it approves these nodes and no others.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, insert, literal, select
from sqlalchemy.orm import Session

from fleet.control import catalogue
from fleet.control.command_tables import Command, Delivery
from fleet.control.ends import CANCELLED, QUEUED, end_queued
from fleet.control.errors import ControlError
from fleet.control.limits import Limits
from fleet.control.persons import check_person, same
from fleet.control.releasing import release
from fleet.control.targets import GONE, NODE, Target, check_target, nodes_of
from fleet.registry.operations import now_us
from fleet.registry.tables import Terminal

LIVES_S = (60, 7 * 86400)  # least and most of an approval's life
ASKED_US = 86400 * 1_000_000  # how long somebody has to approve
MOST_NODES = 100_000  # of one command
MAX_PER_MINUTE = 100_000


class Wanted(NamedTuple):
    """What a person asks for. `lives_s`: how long the approval lives, s. `per_minute`: nodes."""

    name: str
    arguments: Sequence[int]
    targets: Sequence[Target]
    lives_s: int
    per_minute: int


class Asked(NamedTuple):
    """The identifier; to how many nodes it goes; how many of the target cannot take it."""

    identifier: int
    nodes: int
    left_out: int
    approved: bool


def ask(session: Session, wanted: Wanted, person: str, limits: Limits, *, account: str) -> Asked:
    """Keep a command for the nodes of its targets, and release what may go at once.

    `account`: under which it is asked for, as the machine knows it. A command of the valve class
    waits for the approval of a second person. ControlError: no such
    command, arguments out of bounds, no node that takes it, too many, targets of several kinds.
    """
    known = catalogue.by_name(wanted.name)
    arguments = catalogue.check(known, wanted.arguments)
    who = check_person(person)
    least, most = LIVES_S
    if not least <= wanted.lives_s <= most:
        raise ControlError(f"an approval lives {least} s to {most // 86400} days")
    if not 1 <= wanted.per_minute <= MAX_PER_MINUTE:
        raise ControlError(f"a rate is 1 to {MAX_PER_MINUTE} nodes a minute")
    targets = _checked(session, wanted.targets)
    now = now_us()
    lives_us = wanted.lives_s * 1_000_000
    until = now + (ASKED_US if known.valve else lives_us)
    row = Command(
        code=known.code, arguments=arguments, target=_written(targets), valve=known.valve,
        asked_by=who, asked_account=account[:64], asked_us=now, lives_us=lives_us,
        approved_us=None if known.valve else now,
        until_us=until, due_us=until, per_minute=wanted.per_minute, total=0, unreleased=0, open=0,
    )  # fmt: skip
    session.add(row)
    session.flush()
    every = _fill(session, row, targets, known.roles)
    count = row.total
    if not known.valve:
        release(session, limits)
    return Asked(row.id, count, every - count, row.approved_us is not None)


def approve(
    session: Session, identifier: int, person: str, limits: Limits, *, account: str,
    one_account: bool = False,
) -> int:  # fmt: skip
    """A second person wants it too: from now on its approval lives; until when, us.

    A name is what somebody says of himself, so the account must be another one too, unless
    `one_account`. ControlError: it needs none, has one, was taken back, died, or is by
    who asked for it.
    """
    row = _locked(session, identifier)
    who = check_person(person)
    if not row.valve:
        raise ControlError(f"command {identifier} needs no approval")
    if row.cancelled_by is not None:
        raise ControlError(f"command {identifier} was taken back by {row.cancelled_by}")
    if row.approved_us is not None:
        raise ControlError(f"command {identifier} was approved by {row.approved_by} already")
    if row.until_us <= now_us():
        raise ControlError(f"command {identifier} waited too long for its approval: ask again")
    if same(row.asked_by, who):
        raise ControlError(
            f"command {identifier} was asked for by {row.asked_by}: another person approves it"
        )
    if row.asked_account == account[:64] and not one_account:
        raise ControlError(
            f"command {identifier} was asked for under the account {row.asked_account}: another "
            "person approves it under another account"
        )
    row.approved_by, row.approved_account, row.approved_us = who, account[:64], now_us()
    row.until_us = row.due_us = row.approved_us + row.lives_us
    session.flush()
    release(session, limits)
    return row.until_us


def cancel(session: Session, identifier: int, person: str) -> int:
    """Take a command back: what no node was given ends now; how many nodes that spares."""
    row = _locked(session, identifier)
    who = check_person(person)
    if row.cancelled_by is not None:
        raise ControlError(f"command {identifier} was taken back by {row.cancelled_by} already")
    if row.due_us is None:
        raise ControlError(f"command {identifier} is over: kapok command show {identifier}")
    row.cancelled_by, row.unreleased = who, 0
    session.flush()
    return end_queued(session, row.id, CANCELLED)


def _locked(session: Session, identifier: int) -> Command:
    row = session.scalar(
        select(Command)
        .where(Command.id == identifier)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise ControlError(f"no command {identifier}: kapok command list")
    return row


def _checked(session: Session, targets: Sequence[Target]) -> list[Target]:
    found = list(dict.fromkeys(check_target(session, one) for one in targets))
    if not found or (len(found) > 1 and any(one.kind != NODE for one in found)):
        raise ControlError("a command is for one area, one group, or some nodes")
    if len(found) > 1000:
        raise ControlError("over 1,000 nodes by name: make a group of them")
    return found


def _written(targets: Sequence[Target]) -> str:
    return str(targets[0]) if len(targets) == 1 else f"{len(targets)} nodes"


def _fill(session: Session, row: Command, targets: list[Target], roles: tuple[str, ...]) -> int:
    """One delivery for each node that takes it; how many nodes the target has."""
    if len(targets) == 1:
        nodes = nodes_of(targets[0])
    else:
        names = [one.name for one in targets]
        nodes = select(Terminal.id).where(
            Terminal.id.in_(names), Terminal.kind == "node", Terminal.state.not_in(GONE)
        )
    every = session.scalar(select(func.count()).select_from(nodes.subquery())) or 0
    if roles:
        nodes = nodes.where(Terminal.role.in_(roles))
    chosen = nodes.with_only_columns(
        literal(row.id), Terminal.id, literal(QUEUED), literal(""), literal(row.valve)
    )
    columns = ["command_id", "node_id", "state", "why", "valve"]
    if every > MOST_NODES:
        raise ControlError(
            f"{row.target}: {every} nodes; {MOST_NODES} at most, name smaller areas"
        )
    session.execute(insert(Delivery).from_select(columns, chosen))
    count = session.scalar(
        select(func.count()).select_from(Delivery).where(Delivery.command_id == row.id)
    )
    if not count:
        what = f"none of the {every} nodes" if every else "no node"
        raise ControlError(f"{what} of {row.target} takes {catalogue.name_of(row.code)}")
    row.total = row.unreleased = row.open = count
    session.flush()
    return every
