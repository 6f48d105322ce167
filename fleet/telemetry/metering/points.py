"""An asset's index at each reading that counted, along its segments: what estimates go between."""

from collections.abc import Sequence
from typing import NamedTuple

from fleet.migration import ledger
from fleet.migration.ledger import Standing
from fleet.migration.ledger_tables import RegisterSegment
from fleet.migration.reads import Want
from fleet.migration.scaling import Read, Walked
from fleet.telemetry.metering.screening import Limit, screen


class Point(NamedTuple):
    """The index that was known at a time, us, and the reading of which segment said so."""

    at_us: int
    at_index: int
    segment_no: int
    state: Walked


class Line(NamedTuple):
    """Points in the order of their times, the first is where it began; what was held of the open
    segment, what went back.
    """

    points: list[Point]
    held: list[Read]
    back: list[Read]


def first(standing: Standing) -> Point:
    """Where an asset's ledger begins."""
    segment = standing.segments[0]
    state = Walked(0, segment.first_us, segment.first_raw)
    return Point(segment.from_us, segment.start_index, segment.number, state)


def wants(standing: Standing, base: Point, now_us: int) -> list[Want]:
    """The readings behind `base`, segment by segment."""
    return [
        Want(
            *standing.key, segment.terminal_id, ledger.meaning_of(segment),
            _start(segment, base).at_us, now_us if segment.to_us is None else segment.to_us,
        )
        for segment in _behind(standing, base)
    ]  # fmt: skip


def along(standing: Standing, base: Point, reads: Sequence[Sequence[Read]], limit: Limit) -> Line:
    """`reads`: of each of `wants`. The index never goes back."""
    points, held, back = [base], [], []
    for segment, found in zip(_behind(standing, base), reads, strict=True):
        is_open = segment.to_us is None
        made = screen(
            _start(segment, base), found, ledger.meaning_of(segment), segment.register,
            limit if is_open else Limit(0, segment.to_us or 0, segment.total or 0),
        )  # fmt: skip
        held += made.held if is_open else []
        back += [read for read in made.back if read.at_us > base.at_us]
        states = made.states if segment.first_us == segment.from_us else made.states[1:]
        if segment.to_us is not None and segment.last_us is not None:
            states.append(Walked(segment.total or 0, segment.last_us, segment.last_raw or 0))
        for state in states:
            if state.at_us >= segment.from_us and state.at_us > points[-1].at_us:
                index = max(points[-1].at_index, ledger.counted(segment, state.total))
                points.append(Point(state.at_us, index, segment.number, state))
    last = standing.segment
    if last.to_us is not None and last.to_us > points[-1].at_us:  # retired: nothing will follow
        index = max(points[-1].at_index, ledger.counted(last, last.total or 0))
        state = Walked(last.total or 0, last.last_us or 0, last.last_raw or 0)
        points.append(Point(last.to_us, index, last.number, state))
    return Line(points, held, back)


def _behind(standing: Standing, base: Point) -> list[RegisterSegment]:
    return [
        segment
        for segment in standing.segments
        if segment.number >= base.segment_no
        and (segment.to_us is None or segment.to_us >= base.at_us)
    ]


def _start(segment: RegisterSegment, base: Point) -> Walked:
    if segment.number == base.segment_no:
        return base.state
    return Walked(0, segment.first_us, segment.first_raw)
