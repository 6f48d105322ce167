"""What a run saw becomes exceptions: spikes, no use, what went back, silence, wrong clocks."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.migration.ledger import Key, Standing
from fleet.registry.tables import Installation
from fleet.telemetry.metering import history, holds, worklist
from fleet.telemetry.metering.days import day_of, written
from fleet.telemetry.metering.estimating import BETWEEN, READ, Estimate
from fleet.telemetry.metering.points import Line
from fleet.telemetry.metering.policy import Policy
from fleet.telemetry.metering.screening import Limit, disproved
from fleet.telemetry.metering.tables import HeldRead
from fleet.telemetry.metering.worklist import Board, Finding


class Seen(NamedTuple):
    """A register in a run. `newest`: the last day that was read before; what is older was judged
    then. `off_us`: when readings with a wrong time came in.
    """

    standing: Standing
    line: Line
    found: Sequence[Estimate]
    newest: int
    limit: Limit
    held: Sequence[HeldRead]
    off_us: Sequence[int]


def judge(
    session: Session, board: Board, seen: Sequence[Seen], policies: Mapping[int, Policy]
) -> int:
    """Open and clear exceptions; how many readings were held."""
    installed = _installed(session, board, seen, policies)
    before = _before(session, seen, policies)
    held = 0
    for one in seen:
        key = one.standing.key
        limits = policies[key[1]]
        held += _spike(session, board, one)
        _back(board, one)
        _clock(board, one)
        _missing(board, one, limits, installed)
        _zero(board, one, limits, before)
    return held


def _spike(session: Session, board: Board, one: Seen) -> int:
    key = one.standing.key
    waiting = [row for row in one.held if not row.outcome]
    if one.line.held:
        first, last = one.line.held[0], one.line.held[-1]
        text = (
            f"register {first.raw} of {one.standing.segment.terminal_id} is over "
            f"{one.limit.per_day} a day: held"
        )
        row = board.put(
            Finding(key, worklist.SPIKE, day_of(first.at_us), day_of(last.at_us), text)
        )
        waiting += holds.hold(session, one.standing, row, one.line.held)
    states = [point.state for point in one.line.points]
    wrong = set(disproved(holds.refused(waiting), states))
    gone = [row for row in waiting if (row.at_us, row.raw) in wrong]
    holds.decide(session, gone, worklist.REJECTED)
    if waiting and len(gone) == len(waiting):
        board.clear(key, worklist.SPIKE)
    return len(one.line.held)


def _back(board: Board, one: Seen) -> None:
    fresh = [read for read in one.line.back if day_of(read.at_us) > one.newest]
    if fresh:
        before = one.line.points[-1].state.raw
        text = (
            f"{len(fresh)} reading(s) went back, the first to {fresh[0].raw}, it counts from "
            f"{before}: was the register set? kapok migrate ledger change"
        )
        days = [day_of(read.at_us) for read in fresh]
        board.put(Finding(one.standing.key, worklist.NEGATIVE, days[0], days[-1], text))


def _clock(board: Board, one: Seen) -> None:
    days = sorted(day for at_us in one.off_us if (day := day_of(at_us)) > one.newest)
    if days:
        text = (
            f"{len(days)} reading(s) of {one.standing.segment.terminal_id} with a wrong time: "
            "set its clock, or kapok migrate ledger change --kind clock"
        )
        board.put(Finding(one.standing.key, worklist.CLOCK, days[0], days[-1], text))


def _silent_days(one: Seen) -> int:
    """How many days at the end nothing came for."""
    count = 0
    for day in reversed(one.found):
        if day.method in (READ, BETWEEN):
            break
        count += 1
    return count


def _missing(
    board: Board, one: Seen, limits: Policy, installed: Mapping[int, Sequence[str]]
) -> None:
    if not one.found:
        return
    key, segment = one.standing.key, one.standing.segment
    silent = _silent_days(one)
    if not silent:
        board.clear(key, worklist.MISSING)
    elif silent >= limits.missing_days:
        days = one.found[-silent:]
        text = f"nothing that counts from {segment.terminal_id} since {written(days[0].day)}"
        there = installed.get(key[0], ())
        if there and segment.terminal_id not in there:
            text = f"{segment.terminal_id} is billed and silent, {there[0]} is installed"
        board.put(Finding(key, worklist.MISSING, days[0].day, days[-1].day, text))


def _zero(
    board: Board, one: Seen, limits: Policy, before: Mapping[tuple[int, int, int], int]
) -> None:
    if not one.found or one.found[-1].method != READ:
        return
    key, last = one.standing.key, one.found[-1]
    then = before.get((*key, last.day - limits.zero_days))
    if then is None:
        return
    if last.at_index > then:
        board.clear(key, worklist.ZERO)
    elif last.at_index > one.standing.segments[0].start_index:
        first = last.day - limits.zero_days + 1
        text = f"no use since {written(first)} at least, at {last.at_index}"
        board.put(Finding(key, worklist.ZERO, first, last.day, text))


def _before(
    session: Session, seen: Sequence[Seen], policies: Mapping[int, Policy]
) -> dict[tuple[int, int, int], int]:
    """Indices of so many days before each last one that no use since is worth a look."""
    wanted: set[int] = set()
    assets = []
    for one in seen:
        if one.found and one.found[-1].method == READ:
            key: Key = one.standing.key
            wanted.add(one.found[-1].day - policies[key[1]].zero_days)
            assets.append(key[0])
    if not assets:
        return {}
    rows = history.on_days(session, assets, sorted(wanted))
    return {where: row.at_index for where, row in rows.items()}


def _installed(
    session: Session, board: Board, seen: Sequence[Seen], policies: Mapping[int, Policy]
) -> dict[int, list[str]]:
    """Which terminals are in place, of assets that are silent."""
    silent = [
        one.standing.key[0]
        for one in seen
        if _silent_days(one) >= policies[one.standing.key[1]].missing_days
    ]
    found: dict[int, list[str]] = {}
    if silent:
        for asset_id, terminal_id in session.execute(
            select(Installation.asset_id, Installation.terminal_id).where(
                Installation.asset_id.in_(silent), Installation.to_us.is_(None)
            )
        ):
            found.setdefault(asset_id, []).append(terminal_id)
    return found
