"""How the rules stand with the assets of a batch: read at once, written at once."""

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fleet.alarms.hysteresis import Phase, Watch
from fleet.alarms.tables import WatchState

_NONE = Watch(), -1


class Watches:
    """The rows of some assets. `joined`: kinds for which an alarm of a street may stand."""

    def __init__(self, session: Session, asset_ids: Iterable[int], joined: frozenset[str]) -> None:
        self._session = session
        self.joined = joined
        rows = session.scalars(
            select(WatchState).where(WatchState.asset_id.in_(sorted(set(asset_ids))))
        )
        self.rows = {(row.asset_id, row.rule): row for row in rows}

    def has(self, asset_id: int, rule: str) -> bool:
        """Whether a rule is anything but quiet, or waits for its time."""
        return (asset_id, rule) in self.rows

    def of(self, asset_id: int, rule: str) -> tuple[Watch, int]:
        """The state and the time of the newest reading that was weighed, -1 for none."""
        row = self.rows.get((asset_id, rule))
        return _NONE if row is None else (Watch(Phase(row.phase), row.since_us), row.seen_us)

    def put(self, asset_id: int, rule: str, watch: Watch, seen_us: int) -> None:
        """The new state; a quiet one needs no row, for the stored readings tell what is late."""
        row = self.rows.get((asset_id, rule))
        if watch.phase == Phase.QUIET:
            if row is not None:
                self.drop(asset_id, rule)
            return
        if row is None:
            row = self.add(asset_id, rule, None)
        row.phase, row.since_us, row.seen_us = int(watch.phase), watch.since_us, seen_us

    def add(self, asset_id: int, rule: str, due_us: int | None) -> WatchState:
        """A quiet row that is looked at when it is due."""
        row = WatchState(
            asset_id=asset_id, rule=rule, phase=int(Phase.QUIET), since_us=0, seen_us=-1, value=0,
            due_us=due_us,
        )  # fmt: skip
        self._session.add(row)
        self.rows[asset_id, rule] = row
        return row

    def drop(self, asset_id: int, rule: str) -> None:
        """Forget a row."""
        row = self.rows.pop((asset_id, rule))
        if row in self._session.new:
            self._session.expunge(row)
            return
        self._session.execute(
            delete(WatchState).where(WatchState.asset_id == asset_id, WatchState.rule == rule)
        )
        self._session.expunge(row)
