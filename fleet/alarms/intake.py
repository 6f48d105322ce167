"""Where alarms come from: the new records of a batch, and what is due. Both in the transaction
that stores or finds it, so that an alarm and what it says are committed together, or not at all.
"""

from collections.abc import Iterable, Sequence

import structlog
from sqlalchemy.orm import Session

from fleet.alarms import (
    details,
    node_events,
    operations,
    outbox,
    overdue,
    packs,
    series,
    silence,
    together,
)
from fleet.alarms.heard import Heard
from fleet.alarms.watches import Watches
from fleet.db.base import is_trouble
from fleet.registry import whereabouts
from fleet.registry.operations import now_us

log = structlog.get_logger("alarms")


def take(session: Session, heard: Sequence[Heard], reported: Iterable[tuple[str, int]]) -> None:
    """Weigh the records of a batch. Call it before they are stored: what is stored already tells
    which of them came late.

    `reported`: (node id, asset that it serves) of each report, also of those without records.
    """
    present = list(reported)
    assets = {each.asset_id for each in heard} | {asset_id for _, asset_id in present}
    if not assets:
        return
    if _weighed(session, heard, present, assets) is None or len(assets) == 1:
        return
    # One of them has spoilt it: each by itself, so that the others get their alarms.
    for asset_id in sorted(assets):
        own = [each for each in heard if each.asset_id == asset_id]
        _weighed(session, own, [each for each in present if each[1] == asset_id], {asset_id})


def _weighed(
    session: Session, heard: Sequence[Heard], present: list[tuple[str, int]], assets: set[int]
) -> Exception | None:
    """Weigh all of it, or nothing; the error that came in between.

    A fault in a rule must not keep readings from being stored; nor may it be silent.
    """
    try:
        with session.begin_nested():
            _weigh(session, heard, present, assets)
    except Exception as e:
        if is_trouble(e):
            raise  # the database's own trouble: the whole batch is tried again
        log.error("alarms were not weighed", assets=len(assets), reason=repr(e)[:300])
        if len(assets) == 1:
            detail: details.Detail = {"asset_id": min(assets), "reason": repr(e)[:300]}
            operations.raise_alarm(session, "weighing", "alarms", detail)
        return e
    return None


def _weigh(
    session: Session, heard: Sequence[Heard], present: list[tuple[str, int]], assets: set[int]
) -> None:
    now = now_us()
    rules = packs.in_force(session)
    where = whereabouts.of_assets(session, assets)
    watches = Watches(session, assets, rules.joined)
    areas = node_events.take(session, heard, where, rules.joined, now)
    areas |= series.weigh(session, rules, heard, where, watches, now, details.GRACE_US)
    areas |= overdue.heard_from(session, rules, heard, present, where, watches, now)
    together.weigh(session, rules, areas)


def waits(session: Session, now: int | None = None) -> bool:
    """Whether `tick` has anything to do: a question that no writer must wait for."""
    moment = now_us() if now is None else now
    return (
        overdue.waits(session, moment)
        or silence.waits(session, moment)
        or outbox.waits(session, moment)
    )


def tick(session: Session, now: int | None = None) -> int:
    """What is due now: silence that has lasted, maintenance that is over. How much it was.

    When it is overdue.MOST, there is more.
    """
    moment = now_us() if now is None else now
    count, areas = overdue.tick(session, moment)
    if areas:
        together.weigh(session, packs.in_force(session), areas)
    silence.expire(session, moment)
    outbox.purge(session, moment)
    return count
