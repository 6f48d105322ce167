"""Threshold and rate rules, weighed on what a batch brings, before that is stored.

The work is proportional to the batch: a rule that is quiet and stays quiet costs a comparison.
What came late, behind a newer reading that is stored, is history: it raises nothing and ends
nothing. So an alarm depends on the readings' own order, whatever order they came in.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from fleet.alarms import details, operations
from fleet.alarms.details import Detail
from fleet.alarms.heard import Heard
from fleet.alarms.hysteresis import Watch, step
from fleet.alarms.packs import Rules
from fleet.alarms.rules import Rate, Threshold
from fleet.alarms.watches import Watches
from fleet.alarms.window import Window
from fleet.registry.whereabouts import Whereabouts
from fleet.telemetry import newest
from fleet.telemetry.newest import Old, Series


class Point(NamedTuple):
    """A reading as rules take it."""

    at_us: int
    value: int
    quality: int
    node_id: str
    by_file: bool


def weigh(
    session: Session,
    rules: Rules,
    heard: Sequence[Heard],
    where: Mapping[int, Whereabouts],
    watches: Watches,
    now_us: int,
    grace_us: int,
) -> set[str]:
    """Raise and clear what the readings of `heard`, none of them stored yet, say.

    The codes of the areas in which something was raised or cleared.
    """
    todo = [
        _Weighing(session, rule, series, points, where[series[0]], watches, grace_us)
        for series, points in _by_series(heard).items()
        if series[0] in where
        for rule in rules.of_series.get((where[series[0]].kind, series[1]), ())
    ]
    todo = [each for each in todo if each.matters]
    known = newest.newest(session, {each.series for each in todo}, now_us)
    since: dict[Series, int] = {}
    for each in todo:
        if isinstance(each.rule, Rate):
            begin = each.points[0].at_us - each.rule.over_us
            since[each.series] = min(begin, since.get(each.series, begin))
    old = newest.windows(session, since, now_us)
    return {
        each.where.area
        for each in todo
        if each.run(known.get(each.series, -1), old.get(each.series, []))
    }


def _by_series(heard: Iterable[Heard]) -> dict[Series, list[Point]]:
    found: dict[Series, list[Point]] = {}
    for record in sorted(heard, key=lambda each: each.order):
        for quantity, value in record.values:
            if quantity < 900:
                found.setdefault((record.asset_id, quantity), []).append(
                    Point(record.at_us, value, record.quality, record.node_id, record.by_file)
                )
    return found


class _Weighing:
    """One rule on one series."""

    def __init__(
        self,
        session: Session,
        rule: Threshold | Rate,
        series: Series,
        points: list[Point],
        where: Whereabouts,
        watches: Watches,
        grace_us: int,
    ) -> None:
        self._session = session
        self.rule = rule
        self.series = series
        self.where = where
        self._watches = watches
        self.points = [point for point in points if point.quality in rule.qualities]
        self._grace_us = grace_us if rule.kind in watches.joined else 0

    @property
    def matters(self) -> bool:
        """Whether there can be a change at all."""
        if not self.points:
            return False
        if isinstance(self.rule, Rate) or self._watches.has(self.series[0], self.rule.kind):
            return True
        return any(self.rule.beyond(point.value) for point in self.points)

    def run(self, newest_us: int, old: list[Old]) -> bool:
        """Weigh each reading that is none older than `newest_us`; whether an alarm changed.

        `old`: what is stored of the series, for as long as a rate needs it.
        """
        rule, asset_id = self.rule, self.series[0]
        watch, seen_us = self._watches.of(asset_id, rule.kind)
        fresh = [point for point in self.points if point.at_us >= max(newest_us, seen_us)]
        if not fresh:
            return False
        window = self._window(old)
        changed = False
        for point in fresh:
            if point.by_file and watch.is_on:
                continue  # what a file says ends no alarm
            value = point.value
            figure = value if window is None else window.changed(point.at_us, value)
            after = step(
                watch, rule.beyond(figure), rule.returned(figure), point.at_us, rule.hold_us,
                rule.back_hold_us,
            )  # fmt: skip
            if after.is_on != watch.is_on:
                changed = True
                self._change(after, point, figure)
            watch = after
        self._watches.put(asset_id, rule.kind, watch, fresh[-1].at_us)
        return changed

    def _window(self, old: list[Old]) -> Window | None:
        if not isinstance(self.rule, Rate):
            return None
        stored = [(o.time_us, o.value) for o in old if o.quality in self.rule.qualities]
        new = [(point.at_us, point.value) for point in self.points]
        return Window(self.rule, sorted([*stored, *new], key=lambda each: each[0]))

    def _change(self, watch: Watch, point: Point, figure: int) -> None:
        subject = details.subject(self.series[0])
        if not watch.is_on:
            operations.clear(self._session, self.rule.kind, subject, ended_us=point.at_us)
            return
        began = watch.since_us
        detail = self._detail(point, figure, began)
        about = operations.About(
            self.rule.severity, point.node_id, self.series[0], self.where.area, began,
            self._grace_us,
        )  # fmt: skip
        operations.raise_alarm(self._session, self.rule.kind, subject, detail, about)

    def _detail(self, point: Point, figure: int, began_us: int) -> Detail:
        detail = {
            **details.of_asset(self.series[0], self.where, point.node_id),
            "quantity": self.series[1], "value": point.value, "since": began_us,
        }  # fmt: skip
        if isinstance(self.rule, Rate):
            more = {"change": figure if self.rule.is_rise else -figure}
            return {**detail, **more, "limit": self.rule.change, "over": self.rule.over_us}
        return {**detail, "limit": self.rule.limit}
