"""What a rehearsal brings to each NB-IoT cell: airtime by the hour, as nodes really report."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from fleet.migration.rehearsal.devices import NewDevice

_HOUR_US = 3_600_000_000


class Overload(NamedTuple):
    """A cell that has too much: of its worst hour the permille of its airtime, or its devices."""

    operator: str
    cell: str
    what: str
    busy_permille: int
    devices: int
    hour_us: int


class Air:
    """Counts the airtime of reports; `limits`: [cells] of the rules."""

    def __init__(self, limits: Mapping[str, Any]) -> None:
        self._limits = limits
        self._airtime: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
        self._devices: dict[tuple[str, str], set[int]] = defaultdict(set)

    def note(self, device: NewDevice, at_us: int) -> None:
        """A node has reported. One that reports more often than once a day does so at even
        distances.
        """
        old = device.old
        if old.bearer != "NB-IoT":
            return
        key = (old.operator, old.cell)
        self._devices[key].add(old.item_id)
        cost = self._limits["airtime_ms"][min(old.ecl, 2)]
        hours = self._airtime[key]
        each = 24 * _HOUR_US // old.reports_day
        for number in range(old.reports_day):
            hour = (at_us + number * each) // _HOUR_US
            hours[hour] = hours.get(hour, 0) + cost

    def overloads(self) -> list[Overload]:
        """Cells over their limits, the busiest first."""
        found = []
        whole = self._limits["tones"] * 3_600_000
        for (operator, cell), hours in self._airtime.items():
            hour, airtime = max(hours.items(), key=lambda one: (one[1], -one[0]))
            permille, devices = airtime * 1000 // whole, len(self._devices[operator, cell])
            what = ""
            if devices > self._limits["devices"]:
                what = "devices"
            elif permille > self._limits["busy_permille"]:
                what = "airtime"
            if what:
                found.append(Overload(operator, cell, what, permille, devices, hour * _HOUR_US))
        return sorted(found, key=lambda one: (-one.busy_permille, one.cell))
