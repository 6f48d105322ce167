"""The daily run: what each register stood at, at the end of each day, and what is wrong with it.

Every run looks again at what was estimated: a reading that came late replaces it by a revision.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from fleet.migration import ledger
from fleet.migration.desk import Desk
from fleet.migration.ledger import Key, Standing
from fleet.migration.reads import fetch
from fleet.migration.scaling import Read, Walked, quantities_of
from fleet.telemetry.metering import history, holds, points, policy
from fleet.telemetry.metering.days import day_of, end_us, ended
from fleet.telemetry.metering.errors import MeteringError
from fleet.telemetry.metering.estimating import (
    CLOCK,
    NEGATIVE,
    READ,
    SPIKE,
    Estimate,
    Typical,
    estimate,
    usual,
)
from fleet.telemetry.metering.findings import Seen, judge
from fleet.telemetry.metering.points import Line, Point
from fleet.telemetry.metering.policy import Policy
from fleet.telemetry.metering.screening import Limit
from fleet.telemetry.metering.tables import ESTIMATED, DailyRead, HeldRead
from fleet.telemetry.metering.worklist import Board
from fleet.telemetry.tables import Reading


class Done(NamedTuple):
    """What a run did: days by how they were read, revisions, held readings, exceptions."""

    registers: int
    days: Mapping[str, int]
    replaced: int  # estimates that are readings now
    revised: int  # what else is known better now
    held: int
    opened: int
    cleared: int


class _Work(NamedTuple):
    """A register, what is stored of the days to look at, and where that begins."""

    standing: Standing
    first: int
    until: int
    base: Point
    stored: dict[int, DailyRead]
    newest: int  # the last day that was read before


def read(desk: Desk, asset_ids: Sequence[int], until: int, again: int | None = None) -> list[Done]:
    """Read these assets' registers to the end of day `until`, or as far as they were before;
    MeteringError for one to come. `again`: from which day on to look at all of them again.
    """
    if until > ended(desk.now_us):
        raise MeteringError("a day is read when it has ended")
    session = desk.session
    policies = policy.of(session)
    works = _works(session, asset_ids, until, policies, again)
    typical = history.typical(
        session,
        {work.standing.key: row for work in works if (row := _heard(work.stored))},
        {register: one.profile_days for register, one in policies.items()},
    )
    held = holds.of_assets(session, asset_ids)
    off = _clock_off(session, works)
    wants = [points.wants(work.standing, work.base, desk.now_us) for work in works]
    reads = iter(fetch(session, [want for one in wants for want in one]))
    seen, rows = [], []
    days: Counter[str] = Counter()
    revised: Counter[bool] = Counter()
    for work, mine in zip(works, wants, strict=True):
        key = work.standing.key
        limits = policies[key[1]]
        limit = _limit(work, typical.get(key), limits, held.get(key, []))
        line = points.along(work.standing, work.base, [next(reads) for _ in mine], limit)
        why = _why(line, holds.refused(held.get(key, [])), off.get(key, []))
        found = estimate(
            line.points, range(work.first, work.until + 1), typical.get(key) or usual(line.points),
            limits.estimate_days, why,
        )  # fmt: skip
        for one in found:
            before = work.stored.get(one.day)
            if before is None:
                days[one.method] += 1
            elif _same(before, one):
                continue
            else:
                revised[one.method == READ and before.quality == ESTIMATED] += 1
            rows.append(_row(key, one, before, desk.now_us))
        seen.append(
            Seen(work.standing, line, found, work.newest, limit, held.get(key, []),
                 off.get(key, []))
        )  # fmt: skip
    if rows:
        session.execute(insert(DailyRead), rows)
    board = Board(session, asset_ids, desk.now_us)
    count = judge(session, board, seen, policies)
    session.flush()
    return [
        Done(len(works), dict(days), revised[True], revised[False], count, board.opened,
             board.cleared)
    ]  # fmt: skip


def total(parts: Iterable[Done]) -> Done:
    """Of several runs."""
    found = Done(0, {}, 0, 0, 0, 0, 0)
    for one in parts:
        found = Done(
            found.registers + one.registers, dict(Counter(found.days) + Counter(one.days)),
            *(a + b for a, b in zip(found[2:], one[2:], strict=True)),
        )  # fmt: skip
    return found


def _works(
    session: Session, asset_ids: Sequence[int], until: int, policies: Mapping[int, Policy],
    again: int | None,
) -> list[_Work]:  # fmt: skip
    standings = {
        key: one for key, one in ledger.standings(session, asset_ids).items() if key[1] in policies
    }
    replace_days = max(one.replace_days for one in policies.values())
    begins = history.begin(session, asset_ids, until, replace_days)
    if again is not None:
        oldest = {key: day_of(one.segments[0].from_us) for key, one in standings.items()}
        begins |= {
            key: max(oldest[key], min(day, again)) for key, day in begins.items() if key in oldest
        }
    stored = history.since(session, {key: begins[key] for key in standings if key in begins})
    works = []
    for key, standing in standings.items():
        mine = stored.get(key, {})
        first = begins.get(key, day_of(standing.segments[0].from_us))
        end = standing.segment.to_us
        last = max(until, max(mine, default=until))
        last = last if end is None else min(last, day_of(end))
        row = mine.get(first - 1)
        if row is None:
            base = points.first(standing)
        else:
            state = Walked(row.total, row.read_us, row.read_raw)
            base = Point(row.read_us, row.stands, row.segment_no, state)
        works.append(_Work(standing, first, last, base, mine, max(mine, default=first - 1)))
    return works


def _heard(stored: Mapping[int, DailyRead]) -> DailyRead | None:
    """The last day before anything is estimated: what is typical does not move with the runs."""
    last = None
    for day in sorted(stored):
        if stored[day].quality == ESTIMATED:
            break
        last = stored[day]
    return last


def _limit(
    work: _Work, typical: Typical | None, limits: Policy, held: Sequence[HeldRead]
) -> Limit:
    per_day = limits.most_per_day
    if typical is not None:
        per_day = max(limits.spike_floor, limits.spike_times * typical.per_day())
    billed = work.standing.start()
    return Limit(per_day, billed.at_us, billed.total, holds.accepted(held))


def _why(line: Line, refused: Iterable[Read], off_us: Iterable[int]) -> dict[int, str]:
    why = {day_of(at_us): CLOCK for at_us in off_us}
    why |= {day_of(one.at_us): NEGATIVE for one in line.back}
    return why | {day_of(one.at_us): SPIKE for one in (*line.held, *refused)}


def _clock_off(session: Session, works: Sequence[_Work]) -> dict[Key, list[int]]:
    """When readings came in of billed terminals whose clock was wrong, us."""
    billed = {
        (one.key[0], one.segment.terminal_id): one
        for one in (work.standing for work in works)
        if not one.segment.clock_shift_s
    }
    found: dict[Key, list[int]] = {}
    if not billed:
        return found
    rows = session.execute(
        select(Reading.asset_id, Reading.terminal_id, Reading.quantity, Reading.received_us).where(
            Reading.asset_id.in_([asset_id for asset_id, _ in billed]),
            Reading.clock_off,
            Reading.received_us > min(end_us(work.first - 1) for work in works),
        )
    )
    for asset_id, terminal_id, quantity, received_us in rows:
        one = billed.get((asset_id, terminal_id))
        if one is not None and quantity in quantities_of(one.key[1]):
            found.setdefault(one.key, []).append(received_us)
    return found


def _same(before: DailyRead, now: Estimate) -> bool:
    said = (before.at_index, before.stands, before.method, before.reason, before.read_us)
    return said == (
        now.at_index,
        now.point.at_index,
        now.method,
        now.reason,
        now.point.state.at_us,
    )


def _row(key: Key, one: Estimate, before: DailyRead | None, now_us: int) -> dict[str, Any]:
    state = one.point.state
    return {
        "asset_id": key[0], "register": key[1], "day": one.day,
        "revision": 0 if before is None else before.revision + 1, "at_index": one.at_index,
        "stands": one.point.at_index, "quality": one.quality, "method": one.method,
        "reason": one.reason, "segment_no": one.point.segment_no, "read_us": state.at_us,
        "read_raw": state.raw, "total": state.total, "made_us": now_us,
    }  # fmt: skip
