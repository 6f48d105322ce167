"""How a rollout goes: its stages, its pace, and what stops it. Kept as JSON with the rollout."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from fleet.rollouts import windows
from fleet.rollouts.errors import RolloutError
from fleet.rollouts.states import MOST_ATTEMPTS
from fleet.rollouts.windows import Window


@dataclass(frozen=True)
class Plan:
    """All of it with its defaults; shares in permille.

    Stages: `canary` terminals, then `stages`, in percent of the rest, which make 100; a stage
    ends when `done` of it have ended, the canary when all have that can be offered. With `late`
    those that join later come last.
    What stops it: surely more than `errors` of those that ended, once `sample` have, or most of
    fewer; `trip` errors of the canary, whatever the sample (gate.py).
    Pace: `per_minute` offers, times `factor` (in tenths) whenever `every` more have succeeded, up
    to `most_per_minute`; in one area `per_area` at once at most.
    Conditions: offers only in `windows`, by the local time of `zone`, and only to nodes whose
    battery has `battery_mv` and whose signal is `signal_dbm` at least, as far as they told.
    `retries`: how often what failed is tried again. After `days` what was not reached is let go,
    and nobody joins any more.
    """

    canary: int = 50
    stages: tuple[int, ...] = (5, 20, 75)
    done: int = 900
    errors: int = 20
    sample: int = 50
    trip: int = 0  # 0: by the canary's size, see gate.trips
    per_minute: int = 60
    factor: int = 20
    every: int = 500
    most_per_minute: int = 6000
    per_area: int = 500
    windows: tuple[str, ...] = ()
    zone: str = "Asia/Shanghai"
    battery_mv: int | None = None
    signal_dbm: int | None = None
    retries: int = 2
    days: int = 90
    late: bool = False

    def opens_us(self, now_us: int) -> int:
        """When offers may go out next, us."""
        return windows.opens_us(self._windows(), windows.zone(self.zone), now_us)

    def shortest_s(self) -> int:
        """How long the shortest window is open; 0: there is none."""
        return min(map(windows.length_s, self._windows()), default=0)

    def _windows(self) -> list[Window]:
        return [windows.parse(each) for each in self.windows]


_BOUNDS: dict[str, tuple[int, int]] = {
    "canary": (1, 100_000),
    "done": (500, 1000),
    "errors": (1, 500),
    "sample": (10, 100_000),
    "trip": (0, 100_000),
    "per_minute": (1, 100_000),
    "factor": (10, 100),
    "every": (1, 1_000_000),
    "most_per_minute": (1, 100_000),
    "per_area": (1, 1_000_000),
    "battery_mv": (1, 60_000),
    "signal_dbm": (-150, -30),
    "retries": (0, MOST_ATTEMPTS - 1),
    "days": (1, 3650),
}
MOST_STAGES = 20


def check(plan: Plan) -> Plan:
    """`plan` if it can be; RolloutError names what is out of bounds."""
    for name, (least, most) in _BOUNDS.items():
        value = getattr(plan, name)
        if value is not None and not least <= value <= most:
            raise RolloutError(f"{name.replace('_', '-')} is {least} to {most}, not {value}")
    if not 1 <= len(plan.stages) <= MOST_STAGES or min(plan.stages) < 1 or sum(plan.stages) != 100:
        raise RolloutError("stages are percentages that make 100, such as 5,20,75")
    if plan.most_per_minute < plan.per_minute:
        raise RolloutError("most-per-minute is not below per-minute")
    for each in plan.windows:
        windows.parse(each)
    windows.zone(plan.zone)
    return plan


def dumps(plan: Plan) -> str:
    """As it is kept."""
    return json.dumps(asdict(plan))


def loads(text: str) -> Plan:
    """As it was kept; what a later Kapok knew more is left out."""
    raw: dict[str, Any] = json.loads(text)
    known = {field.name for field in fields(Plan)}
    lists: dict[str, Callable[[Any], Any]] = {"stages": tuple, "windows": tuple}
    kept = {key: lists.get(key, _same)(value) for key, value in raw.items() if key in known}
    return replace(Plan(), **kept)


def _same(value: Any) -> Any:
    return value
