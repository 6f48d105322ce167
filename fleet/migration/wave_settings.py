"""By what waves are made: crews, days, freezes, the canary. Kept as JSON with the programme."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, timedelta
from typing import Any

from fleet.migration.entries import day_of
from fleet.migration.errors import MigrationError
from fleet.rollouts import windows
from fleet.rollouts.windows import Window

_FREEZE = re.compile(r"([0-9]{1,2})-([0-9]{1,2})")
_PAUSE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.\.([0-9]{4}-[0-9]{2}-[0-9]{2}))?")
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class WaveSettings:
    """`start`: the first day, since 1970. `crews` work in `work`; from street to street one needs
    `travel` minutes. What needs no visit: `remote` a day.
    The canary is `canary` permille of all, `canary_least` at least, and is watched for `watch`
    days; later waves are of `wave_days` days. `freeze`: days of the month on which nothing that
    is billed is touched, such as 28-3; `pauses`: dates on which nobody works.
    """

    start: int = 0
    crews: int = 2
    work: str = "mon-fri 08:30-17:30"
    travel: int = 30
    remote: int = 500
    canary: int = 10
    canary_least: int = 10
    watch: int = 14
    wave_days: int = 7
    freeze: tuple[str, ...] = ()
    pauses: tuple[str, ...] = ()

    def window(self) -> Window:
        """When crews work."""
        return windows.parse(self.work)

    def works(self, day: int) -> bool:
        """Whether crews work on a day."""
        when = _EPOCH + timedelta(days=day)
        if when.weekday() not in self.window().days:
            return False
        return not any(first <= day <= last for first, last in map(_pause, self.pauses))

    def frozen(self, day: int) -> bool:
        """Whether a day is within a billing freeze."""
        number = (_EPOCH + timedelta(days=day)).day
        for first, last in map(_freeze, self.freeze):
            if first <= number <= last or (first > last and (number >= first or number <= last)):
                return True
        return False


_BOUNDS = {
    "crews": (0, 10_000), "travel": (0, 600), "remote": (0, 1_000_000), "canary": (0, 500),
    "canary_least": (0, 100_000), "watch": (0, 365), "wave_days": (1, 365), "start": (0, 100_000),
}  # fmt: skip


def check(settings: WaveSettings) -> WaveSettings:
    """Itself if it can be; MigrationError names what is out of bounds."""
    for name, (least, most) in _BOUNDS.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            raise MigrationError(f"{name.replace('_', '-')} is {least} to {most}, not {value}")
    window = settings.window()
    if window.end <= window.begin:
        raise MigrationError(f"work {settings.work!r} goes beyond midnight: give a day's hours")
    for text in settings.freeze:
        _freeze(text)
    for text in settings.pauses:
        _pause(text)
    return settings


def dumps(settings: WaveSettings) -> dict[str, Any]:
    """As it is kept."""
    return asdict(settings)


def loads(raw: Mapping[str, Any]) -> WaveSettings:
    """As it was kept; what a later Kapok knew more is left out."""
    known = {field.name for field in fields(WaveSettings)}
    kept: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in raw.items()
        if key in known
    }
    return replace(WaveSettings(), **kept)


def of_programme(text: str) -> WaveSettings:
    """Those of a programme's settings."""
    return loads(json.loads(text).get("waves", {}))


def _freeze(text: str) -> tuple[int, int]:
    found = _FREEZE.fullmatch(text)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= first <= 31 or not 1 <= last <= 31:
        raise MigrationError(f"freeze {text[:24]!r}: days of the month, such as 28-3")
    return first, last


def _pause(text: str) -> tuple[int, int]:
    found = _PAUSE.fullmatch(text)
    first = day_of(found[1]) if found else None
    last = day_of(found[2]) if found and found[2] else first
    if first is None or last is None or last < first:
        raise MigrationError(f"pause {text[:24]!r}: such as 2027-02-01..2027-02-15")
    return first, last
