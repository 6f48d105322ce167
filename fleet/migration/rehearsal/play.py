"""A programme day by day: the office at midnight, crews by day, what comes in all the time."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from fleet.migration import preflight, states
from fleet.migration.policy import Policy
from fleet.migration.preflight import SIM_UNBOUND
from fleet.migration.rehearsal.chances import STAGES, Chances
from fleet.migration.rehearsal.crews import Crews
from fleet.migration.rehearsal.facts import Old
from fleet.migration.rehearsal.flows import DAY_US, mix
from fleet.migration.rehearsal.street import SHIFT_US, Call, Street
from fleet.migration.wave_settings import WaveSettings

AHEAD: Final = 2  # days before a visit that its order is made
UNBIND: Final = 3  # days until the operator has unbound a card
_TAIL: Final = 45  # days behind the last thing that was due
_AT_ONCE: Final = 500
PERIOD: Final = 10  # days of a bill
STAYS: Final = "master-station"
_GONE: Final = states.ROLLED_BACK
Standing = tuple[str, int | None]  # an item's state and deadline
Progress = Callable[[int, Counter[str]], None]


class Play:
    """`call` is the fleet's side. Items whose terminals stay behind their master station, and
    those without a day, are left alone.
    """

    def __init__(
        self, call: Call, street: Street, crews: Crews, olds: Sequence[Old],
        settings: WaveSettings, limits: Policy, chances: Chances, bound: Sequence[int] = (),
    ) -> None:  # fmt: skip
        self._call = call
        self._street = street
        self._crews = crews
        self._limits = limits
        self._settings = settings
        self._chances = chances
        self._bound = set(bound)
        self.moving = {
            old.item_id: old for old in olds if old.path != STAYS and old.due_day is not None
        }
        self.wanted: dict[int, str] = {}
        self.choose(chances.rollbacks)
        self._returning: set[int] = set()
        self._checked: set[int] = set()
        self._refused: set[int] = set()
        self.rolled_back: Counter[str] = Counter()  # by the stage at which
        self.lines = 0
        self.refused: Counter[str] = Counter()
        self.stuck = 0  # records that nobody took at the end

    def choose(self, rollbacks: int) -> None:
        """So many items are rolled back once, each at its stage."""
        able = [one for one in self.moving.values() if one.path != "retire"]
        able.sort(key=lambda one: mix(self._chances.seed, one.item_id, 11))
        for place, one in enumerate(able[:rollbacks]):
            self.wanted[one.item_id] = STAGES[place % len(STAGES)]

    def run(self, first_day: int, on_day: Progress | None = None) -> int:
        """From a day on until all is done; the us at which the last reading was told. `on_day`
        hears after each day where the items are.
        """
        due = [one.due_day or 0 for one in self.moving.values()]
        last = max(due, default=first_day) + self._limits.rollback_s // 86400 + _TAIL
        day = first_day
        while True:
            day_us = day * DAY_US - SHIFT_US
            found = self._office(day, day_us)
            if on_day is not None:
                on_day(day, found)
            if found["moving"] == 0 or day > last:
                break
            self._through(day, day_us)
            day += 1
        return self._end(day)

    def _through(self, day: int, day_us: int) -> None:
        window = self._settings.window()
        morning = day_us + window.begin * 60_000_000
        self._street.speak(day_us, morning, day_us)
        self._street.deliver(self._call, morning, day_us)
        self._crews.work(day, day_us)
        self._street.speak(morning, day_us + DAY_US, day_us)
        self._street.deliver(self._call, day_us + DAY_US - 60_000_000, day_us)

    def _end(self, day: int) -> int:
        """Everybody tells once more at one moment, all gets through, the last bill is closed."""
        end_us = day * DAY_US - SHIFT_US + 3_600_000_000
        self._street.drain(self._call, end_us - 60_000_000)
        self._street.speak_at(end_us)
        self.stuck = self._street.drain(self._call, end_us)
        self._items(end_us)
        self.lines += self._call("freeze", end_us, end_us)
        return end_us

    def _office(self, day: int, now: int) -> Counter[str]:
        mine = self._items(now)
        found = Counter(state for state, _ in mine.values())
        found["moving"] = len(self.moving) - found[states.DECOMMISSIONED]
        self._back(mine, (states.INSTALLED, states.CUT_OVER, states.SETTLED), now)
        passed = self._judge(self._in(mine, states.INSTALLED), now)
        waiting = [*self._in(mine, states.PARITY), *passed]
        self._back(dict.fromkeys(waiting, (states.PARITY, None)), (states.PARITY,), now)
        self._each("cut_over", [one for one in waiting if one not in self._returning], now)
        if day % PERIOD == 0:
            self.lines += self._call("freeze", now, now)
        self._each("settle", self._in(mine, states.CUT_OVER), now)
        over = [
            item
            for item in self._in(mine, states.SETTLED)
            if (until := mine[item][1]) is not None and until < now and item not in self.wanted
        ]
        self._each("decommission", [item for item in over if self._street.is_off(item, now)], now)
        self._make_ready(day, now)
        return found

    def _items(self, now: int) -> dict[int, Standing]:
        every = self._call("items", now)
        self._street.begin(item for item, state, _ in every if state != states.PLANNED)
        return {item: (state, until) for item, state, until in every if item in self.moving}

    def _in(self, mine: dict[int, Standing], wanted: str) -> list[int]:
        """Those in a state that are not on their way back."""
        return [
            item
            for item, (state, _) in mine.items()
            if state == wanted and item not in self._returning
        ]

    def _judge(self, ids: list[int], now: int) -> list[int]:
        """The gate; those that count apart are rolled back, and tried again."""
        passed = []
        for part in _parts(ids):
            verdicts, refused = self._call("gate", now, part)
            self._note("gate", refused)
            passed += [item for item, ok, _ in verdicts if ok]
            apart = [item for item, ok, text in verdicts if not ok and "apart" in text]
            self._go_back(apart, "the gate", now)
        return passed

    def _back(self, mine: dict[int, Standing], stages: Sequence[str], now: int) -> None:
        """Those who are wanted back at the stage where they are; or a stage before it, where their
        deadline would be over by then.
        """
        ids = [
            item
            for item, (state, until) in mine.items()
            if state in stages
            and (wanted := self.wanted.get(item)) is not None
            and (wanted == state or _hurries(wanted, state, until, now))
        ]
        self._go_back([one for one in ids if one not in self._returning], "rehearsed", now)

    def _go_back(self, ids: list[int], reason: str, now: int) -> None:
        """Where the old terminal was taken away somebody drives out, else it is billed again."""
        self._returning.update(ids)
        visits = [item for item in ids if self._street.olds[item].gone_us is not None]
        for item in visits:
            self._call("send_back", now, item)
        for part in _parts([item for item in ids if item not in visits]):
            _, refused = self._call("roll_back", now, part, reason)
            self._note("roll_back", refused)
            late = {item for item, _ in refused}
            for item in part:
                if item in late:  # nobody goes back any more
                    self.wanted.pop(item, None)
                    self._returning.discard(item)
                else:
                    self._street.back(item, now)

    def _make_ready(self, day: int, now: int) -> None:
        again = self._items(now)
        for item in self._returning & {i for i, one in again.items() if one[0] == _GONE}:
            self.rolled_back[self.wanted.pop(item, "the gate")] += 1
            self._returning.discard(item)
        for item in [one for one in self._returning if (again[one][1] or now) < now]:
            self._returning.discard(item)  # nobody came in time: it stays
            self.wanted.pop(item, None)
        due = [
            item
            for item, (state, _) in again.items()
            if state in (states.PLANNED, _GONE) and (self.moving[item].due_day or 0) <= day + AHEAD
        ]
        self._street.ask(item for item in due if again[item][0] == states.PLANNED)
        self._each("ready", self._checked_now(due, day, now), now)

    def _checked_now(self, ids: list[int], day: int, now: int) -> list[int]:
        """What stands in the path of a visit is looked into; a bound card takes some days."""
        wanted: dict[str, list[int]] = {}
        held = []
        for item in ids:
            needed = preflight.needs(self.moving[item].path)
            since = (self.moving[item].due_day or 0) - AHEAD
            if item in self._bound and SIM_UNBOUND in needed and day < since + UNBIND:
                held.append(item)
            elif item not in self._checked:
                self._checked.add(item)
                for name in needed:
                    wanted.setdefault(name, []).append(item)
        fresh = [item for item in held if item not in self._refused]
        self._refused.update(fresh)
        for part in _parts(fresh):
            self._call("check", now, part, SIM_UNBOUND, "bound to the old IMEI")
        for name, several in wanted.items():
            for part in _parts(several):
                self._call("check", now, part, name, "")
        return ids  # those held are refused by the fleet itself

    def _each(self, name: str, ids: Sequence[int], now: int) -> None:
        for part in _parts(ids):
            _, refused = self._call(name, now, part)
            self._note(name, refused)

    def _note(self, name: str, refused: list[tuple[int, str]]) -> None:
        for _item, why in refused:
            self.refused[f"{name}: {_shape(why)}"] += 1


def _hurries(wanted: str, state: str, until: int | None, now: int) -> bool:
    """Whether an item that is to go back once it is settled would be too late."""
    soon = until is not None and until < now + 2 * DAY_US
    return wanted == states.SETTLED and state == states.CUT_OVER and soon


def _parts(ids: Sequence[int]) -> list[list[int]]:
    return [list(ids[at : at + _AT_ONCE]) for at in range(0, len(ids), _AT_ONCE)]


def _shape(why: str) -> str:
    """A refusal without its numbers, so that like ones are counted together."""
    return "".join("#" if sign.isdigit() else sign for sign in why)[:80]
