"""Make waves: which terminal on which day, by the networks' last days, streets, crews, access
windows, billing freezes and a canary. Pure: work and settings in, days out.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Final, NamedTuple

from fleet.migration.wave_settings import WaveSettings
from fleet.rollouts import windows
from fleet.rollouts.windows import Window

CANARY: Final = 1  # the first wave
MOST_WAIT: Final = 60  # minutes that a crew waits at a door for it to open
_AHEAD = 5000  # jobs that a crew looks through for one that it may do now
_HORIZON = 3650  # days
_STUCK = 62  # days of work without any job done: a freeze is over by then
_NEVER = 1 << 30


class Work(NamedTuple):
    """One item: `minutes` at the place (0: nobody goes), `access` a window or "", `sunset` the
    first day without its network, `group`: what the canary must have some of.
    """

    id: int
    area: str
    site: int
    minutes: int
    access: str
    billed: bool
    sunset: int | None
    group: tuple[str, ...]


class Placed(NamedTuple):
    """An item's wave and day; `late`: its network has ended by then."""

    id: int
    wave: int
    day: int
    late: bool


class Waves(NamedTuple):
    """`unplaced`: (item, why) of those that no day takes."""

    placed: list[Placed]
    unplaced: list[tuple[int, str]]


def make(works: Sequence[Work], settings: WaveSettings) -> Waves:
    """The canary first, then the rest, those whose network ends first in front, street by
    street.
    """
    ordered = sorted(works, key=_order)
    chosen = canary(ordered, settings)
    placed, unplaced = _days(
        [one for one in ordered if one.id in chosen], settings, settings.start
    )
    found = [Placed(one.id, CANARY, day, _late(one, day)) for one, day in placed]
    begin = max((day for _, day in placed), default=settings.start - 1) + 1
    begin += settings.watch if placed else 0
    placed, more = _days([one for one in ordered if one.id not in chosen], settings, begin)
    for one, day in placed:
        wave = CANARY + 1 + (day - begin) // settings.wave_days
        found.append(Placed(one.id, wave, day, _late(one, day)))
    return Waves(_numbered(found), unplaced + more)


def canary(ordered: Sequence[Work], settings: WaveSettings) -> set[int]:
    """Some of each group, in proportion, at least one of each while the share lasts; spread over
    the streets.
    """
    share = -(-len(ordered) * settings.canary // 1000)
    wanted = min(len(ordered), max(share, settings.canary_least if settings.canary else 0))
    groups: dict[tuple[str, ...], list[Work]] = defaultdict(list)
    for one in ordered:
        groups[one.group].append(one)
    chosen: set[int] = set()
    rest = len(ordered)
    # The smallest first: what rounding leaves over goes to the greatest.
    for group in sorted(groups.values(), key=lambda several: (len(several), several[0].id)):
        count = min(len(group), max(1, wanted * len(group) // rest)) if wanted > 0 else 0
        chosen.update(group[place * len(group) // count].id for place in range(count))
        wanted -= count
        rest -= len(group)
    return chosen


def _order(one: Work) -> tuple[int, str, int, int]:
    return (_NEVER if one.sunset is None else one.sunset, one.area, one.site, one.id)


def _late(one: Work, day: int) -> bool:
    return one.sunset is not None and day >= one.sunset


def _numbered(found: list[Placed]) -> list[Placed]:
    """Waves without gaps: a freeze leaves some empty."""
    numbers = {wave: place for place, wave in enumerate(sorted({p.wave for p in found}), CANARY)}
    return [one._replace(wave=numbers[one.wave]) for one in found]


class _Queue:
    """What is left to be done, in its order; looked at without what is done."""

    def __init__(self, works: list[Work]) -> None:
        self._left: list[Work | None] = list(works)
        self._head = 0
        self.count = len(works)

    def ahead(self) -> Iterator[tuple[int, Work]]:
        """The next ones with their places, as far as a crew looks."""
        while self._head < len(self._left) and self._left[self._head] is None:
            self._head += 1
        return islice(self.rest(), _AHEAD)

    def rest(self) -> Iterator[tuple[int, Work]]:
        """All that is left."""
        for place in range(self._head, len(self._left)):
            one = self._left[place]
            if one is not None:
                yield place, one

    def done(self, place: int) -> None:
        """Done, or given up."""
        self._left[place] = None
        self.count -= 1


def _days(
    works: list[Work], settings: WaveSettings, begin: int
) -> tuple[list[tuple[Work, int]], list[tuple[int, str]]]:
    visits = _Queue([one for one in works if one.minutes])
    remote = _Queue([one for one in works if not one.minutes])
    placed: list[tuple[Work, int]] = []
    unplaced: list[tuple[int, str]] = []
    day = last = begin
    while visits.count or remote.count:
        if day - last > _STUCK or day - begin > _HORIZON:
            for queue, why in ((visits, _why(settings)), (remote, "remote is 0")):
                unplaced += [(one.id, why) for _, one in queue.rest()]
            break
        if settings.works(day):
            before = len(placed)
            frozen = settings.frozen(day)
            placed += [(one, day) for one in _remotely(remote, settings, frozen)]
            for _crew in range(settings.crews if visits.count else 0):
                placed += [(one, day) for one in _crew_day(visits, settings, day, frozen)]
            last = day if len(placed) > before else last
        else:
            last += 1  # nobody works: a pause may be of months
        day += 1
    return placed, unplaced


def _why(settings: WaveSettings) -> str:
    if not settings.crews:
        return "no crews"
    return "no working day has its access window, its minutes and no freeze"


def _remotely(queue: _Queue, settings: WaveSettings, frozen: bool) -> list[Work]:
    able = ((place, one) for place, one in queue.rest() if not (frozen and one.billed))
    done: list[Work] = []
    for place, one in islice(able, settings.remote):
        queue.done(place)
        done.append(one)
    return done


def _crew_day(queue: _Queue, settings: WaveSettings, day: int, frozen: bool) -> list[Work]:
    """What one crew does on a day: always the next that it can do without a long wait."""
    window = settings.window()
    done: list[Work] = []
    clock, area = window.begin, ""
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    while True:
        found = None
        for place, one in queue.ahead():
            if frozen and one.billed:
                continue
            travel = settings.travel if done and one.area != area else 0
            begin = _begin(_access(one.access), weekday, clock + travel)
            ends = _ends(_access(one.access), window)
            if begin is None or begin + one.minutes > ends:
                continue
            if begin - clock - travel > MOST_WAIT:
                continue
            found = place, one, begin + one.minutes
            break
        if found is None:
            return done
        place, one, clock = found
        area = one.area
        queue.done(place)
        done.append(one)


@cache
def _access(text: str) -> Window | None:
    return windows.parse(text) if text else None


def _begin(access: Window | None, weekday: int, earliest: int) -> int | None:
    if access is None:
        return earliest
    return max(earliest, access.begin) if weekday in access.days else None


def _ends(access: Window | None, window: Window) -> int:
    if access is None:
        return window.end
    return min(window.end, access.end if access.end > access.begin else 1440)
