"""What waits for platforms: stored readings become messages, in the transaction that moves the
target's cursor, so that each reading is queued once, whoever is killed when.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import CursorResult, delete, func, insert, select, update
from sqlalchemy.orm import Session

from fleet.alarms import operations as alarms
from fleet.alarms.backoff import pause_us
from fleet.bridge import cursors
from fleet.bridge.errors import BridgeError
from fleet.bridge.north.targets import BEGINNING, SL651, Target
from fleet.bridge.tables import BridgeMessage, BridgeSource, BridgeTarget
from fleet.registry.tables import Asset, Site
from fleet.telemetry import derived, order
from fleet.telemetry.tables import Reading

QUEUED, SENT, REFUSED = "queued", "sent", "refused"
WINDOW = 50_000  # ids looked through in one transaction
MOST_READINGS = 2000  # queued in one transaction
MOST_VALUES = 20  # of one message: a packet of HJ 212 holds about 950 bytes
KEEP_US = 30 * 86400 * 1_000_000
PURGE = 2000
_Key = tuple[int, int, str]  # asset, time, period
_ID = re.compile("id:[0-9]+")
_MINUTE_US = 60_000_000
_MS_US = 1000


class Out(NamedTuple):
    """A message as it is to be told: `values` are (quantity, value, quality)."""

    id: int
    asset_id: int
    time_us: int
    values: tuple[tuple[int, int, int], ...]
    stamp_us: int
    attempts: int


def open_target(session: Session, target: Target) -> BridgeTarget:
    """Its row, made where there is none: it is told what is stored from now on, or all.
    BridgeError: the name is taken.
    """
    row = session.get(BridgeTarget, target.name)
    if row is None:
        if session.get(BridgeSource, target.name) is not None:
            raise BridgeError(f"{target.name} is the name of a source: give the target another")
        order.settled(session)
        newest = session.scalar(select(func.max(Reading.id))) or 0
        begin = 0 if target.begin == BEGINNING else newest
        session.execute(
            insert(BridgeTarget).values(name=target.name, kind=target.kind, cursor=begin)
        )
        row = session.get_one(BridgeTarget, target.name)
    if row.kind != target.kind:
        raise BridgeError(f"target {target.name} is a {row.kind}: give this one another name")
    return row


def assets_of(session: Session, target: Target) -> dict[int, str]:
    """Number of the platform by asset id, of the target's stations; BridgeError for one that is
    not there.
    """
    said = [station.asset for station in target.stations]
    numbers = [int(one[3:][:18]) for one in said if _ID.fullmatch(one)]
    named: dict[str, list[int]] = {}
    rows = session.execute(
        select(Asset.id, Asset.name).where(Asset.id.in_(numbers) | Asset.name.in_(said))
    )
    for asset_id, name in rows:
        named.setdefault(f"id:{asset_id}", []).append(asset_id)
        named.setdefault(name, []).append(asset_id)
    found = {}
    for station in target.stations:
        ids = named.get(station.asset, [])
        if len(ids) != 1:
            what = "is no asset" if not ids else "is the name of several assets: id:N"
            raise BridgeError(f"{target.name}: {station.asset[:60]!r} {what}")
        found[ids[0]] = station.number
    return found


def has_news(session: Session, name: str) -> bool:
    """Whether anything was stored since the last scan."""
    newest = session.scalar(select(func.max(Reading.id))) or 0
    return newest > session.get_one(BridgeTarget, name).cursor


def scan(session: Session, target: Target, assets: Mapping[int, str], now_us: int) -> bool:
    """Queue what was stored since the last time, some of it; whether there is more."""
    row = session.get_one(BridgeTarget, target.name)
    order.settled(session)  # a reading whose id is below the cursor would never be told
    newest = session.scalar(select(func.max(Reading.id))) or 0
    top = min(newest, row.cursor + WINDOW)
    if top <= row.cursor:
        return False
    query = (
        select(
            Reading.id, Reading.asset_id, Reading.time_us, Reading.quantity, Reading.value,
            Reading.quality,
        )
        .where(
            Reading.id > row.cursor, Reading.id <= top, Reading.quality.in_(target.qualities)
        )
        .order_by(Reading.id)
        .limit(MOST_READINGS)
    )  # fmt: skip
    if target.stations:
        query = query.where(Reading.asset_id.in_(list(assets)))
    elif target.area:
        inside = select(Asset.id).join(Site, Site.id == Asset.site_id)
        query = query.where(
            Reading.asset_id.in_(inside.where(Site.area_code.startswith(target.area)))
        )
    if target.words:
        query = query.where(Reading.quantity.in_([word.quantity for word in target.words]))
    rows = session.execute(query).all()
    if len(rows) == MOST_READINGS:
        top = rows[-1][0]
    step = _MINUTE_US if target.kind == SL651 else 1  # SL 651 tells minutes
    # An hour's means are another message than what was measured at its beginning; and so is a
    # second value of a quantity: that of another terminal, or of the same minute.
    groups: list[tuple[_Key, dict[int, tuple[int, int]]]] = []
    last: dict[_Key, dict[int, tuple[int, int]]] = {}
    for _id, asset_id, time_us, quantity, value, quality in rows:
        key = (asset_id, time_us // step * step, derived.period_of(quantity))
        if key not in last or quantity in last[key]:
            last[key] = {}
            groups.append((key, last[key]))
        last[key][quantity] = (value, quality)
    _queue(session, target.name, now_us, groups)
    session.execute(
        update(BridgeTarget).where(BridgeTarget.name == target.name).values(cursor=top)
    )
    return top < newest


def due(session: Session, name: str, limit: int) -> list[Out]:
    """The oldest that wait."""
    rows = session.scalars(
        select(BridgeMessage)
        .where(BridgeMessage.target == name, BridgeMessage.state == QUEUED)
        .order_by(BridgeMessage.id)
        .limit(limit)
    )
    return [
        Out(
            row.id, row.asset_id, row.time_us,
            tuple((quantity, value, quality) for quantity, value, quality in json.loads(row.said)),
            row.stamp_us, row.attempts,
        )
        for row in rows
    ]  # fmt: skip


def mark_sent(session: Session, name: str, ids: Sequence[int], now_us: int) -> None:
    """The platform has taken them; the target is well."""
    result = session.execute(
        update(BridgeMessage)
        .where(BridgeMessage.id.in_(ids), BridgeMessage.state == QUEUED)
        .values(state=SENT, done_us=now_us, error="", attempts=BridgeMessage.attempts + 1)
    )
    assert isinstance(result, CursorResult)  # noqa: S101
    row = session.get_one(BridgeTarget, name)
    was_failing = row.failures > 0
    session.execute(
        update(BridgeTarget)
        .where(BridgeTarget.name == name)
        .values(
            sent=BridgeTarget.sent + result.rowcount, failures=0, failing_us=None, retry_us=0,
            error="",
        )
    )  # fmt: skip
    if was_failing:
        alarms.clear(session, cursors.KIND, f"to {name}")


def mark_refused(session: Session, one: int, error: str, now_us: int) -> None:
    """It cannot be told, or the platform will not have it: set aside for people."""
    session.execute(
        update(BridgeMessage)
        .where(BridgeMessage.id == one)
        .values(state=REFUSED, done_us=now_us, error=error[:200])
    )


def mark_failed(
    session: Session, name: str, ids: Sequence[int], error: str, now_us: int
) -> None:  # fmt: skip
    """It did not take them: all wait, longer and longer."""
    session.execute(
        update(BridgeMessage)
        .where(BridgeMessage.id.in_(ids))
        .values(attempts=BridgeMessage.attempts + 1, error=error[:200])
    )
    row = session.get_one(BridgeTarget, name)
    since = row.failing_us or now_us
    failures = row.failures + 1
    session.execute(
        update(BridgeTarget)
        .where(BridgeTarget.name == name)
        .values(
            failures=failures, failing_us=since, error=error[:200],
            retry_us=now_us + pause_us(failures),
        )
    )  # fmt: skip
    if now_us - since >= cursors.ALARM_AFTER_US:
        detail: dict[str, str | int] = {"bridge": name, "since": since, "reason": error[:200]}
        alarms.raise_alarm(session, cursors.KIND, f"to {name}", detail)


def requeue(session: Session, name: str) -> int:
    """Those that were set aside wait again; how many."""
    result = session.execute(
        update(BridgeMessage)
        .where(BridgeMessage.target == name, BridgeMessage.state == REFUSED)
        .values(state=QUEUED, done_us=None, attempts=0, error="")
    )
    assert isinstance(result, CursorResult)  # noqa: S101
    return result.rowcount


def counts(session: Session, name: str) -> dict[str, int]:
    """How many wait, and how many are set aside."""
    rows = session.execute(
        select(BridgeMessage.state, func.count())
        .where(BridgeMessage.target == name, BridgeMessage.state.in_((QUEUED, REFUSED)))
        .group_by(BridgeMessage.state)
    )
    return {QUEUED: 0, REFUSED: 0, **{row[0]: row[1] for row in rows}}


def purge(session: Session, now_us: int) -> int:
    """Forget what was sent 30 days ago, some of it; what was refused stays."""
    old = (
        select(BridgeMessage.id)
        .where(BridgeMessage.state == SENT, BridgeMessage.done_us < now_us - KEEP_US)
        .limit(PURGE)
    )
    result = session.execute(delete(BridgeMessage).where(BridgeMessage.id.in_(old)))
    assert isinstance(result, CursorResult)  # noqa: S101
    return result.rowcount


def _queue(
    session: Session, name: str, now_us: int,
    groups: Sequence[tuple[_Key, Mapping[int, tuple[int, int]]]],
) -> None:  # fmt: skip
    last = session.scalar(
        select(func.max(BridgeMessage.stamp_us)).where(BridgeMessage.target == name)
    )
    # A stamp names a message: its own millisecond, also where the clock was set back.
    stamp = max(now_us // _MS_US * _MS_US, (last or 0) + _MS_US)
    rows = []
    for (asset_id, time_us, _period), values in groups:
        told = [[quantity, value, quality] for quantity, (value, quality) in values.items()]
        for at in range(0, len(told), MOST_VALUES):
            rows.append(
                {
                    "target": name, "state": QUEUED, "asset_id": asset_id, "time_us": time_us,
                    "said": json.dumps(told[at : at + MOST_VALUES]), "stamp_us": stamp,
                }
            )  # fmt: skip
            stamp += _MS_US
    if rows:
        session.execute(insert(BridgeMessage), rows)
