"""A lamppost: follows its dimming plan and records on, dim and supply voltage on a grid."""

from micropython import const

from node import clock
from node.roles.grid import Grid
from node.sense.analog import AnalogInput
from node.sense.luminaire import Luminaire
from node.wire import uplink

_Q_LAMP_ON = const(3)  # wire/quantity.py
_Q_LAMP_DIM = const(4)
_Q_SUPPLY_VOLTAGE = const(5)
_DAY = 86400


def dim_at(plan: list, second: int) -> int:
    """Permille that `plan` asks for at `second` of the UTC day; the last step of a day runs on.

    A plan is [second, permille, second, permille, ...], ascending; an empty one is off.
    """
    dim = plan[-1] if plan else 0
    for i in range(0, len(plan), 2):
        if plan[i] > second:
            break
        dim = plan[i + 1]
    return dim


class Lamppost:
    """Mains powered: it never sleeps deeply, since the lamp must go on burning."""

    mains = True

    def __init__(self, config: dict, state, journal) -> None:
        pins = config["pins"]
        self._plan = config["lamp_plan"]
        self._journal = journal
        self._grid = Grid(config["sample_s"] or 900, state, journal)
        self._lamp = Luminaire(pins["relay"], pins["dim"])
        self._supply = AnalogInput(
            pins["supply"], config["low_uv"], config["high_uv"], config["full_scale"]
        )

    def sense(self, now: int, reason: int, quality: int) -> None:
        """Drive the lamp as the plan says; record the slot once."""
        dim = dim_at(self._plan, now % _DAY) if clock.is_set() else 1000  # no clock: keep it light
        if dim != self._lamp.dim:
            self._lamp.set(dim)
        if not self._grid.open(now):
            return
        values = [
            (_Q_LAMP_ON, 1 if dim else 0),
            (_Q_LAMP_DIM, dim),
            (_Q_SUPPLY_VOLTAGE, self._supply.read()),
        ]
        self._journal().append(uplink.encode_body(now, quality, values))
        self._grid.taken(now)

    def due(self, now: int) -> int:
        """The next slot or the next step of the plan, whichever comes first."""
        due = self._grid.next(now)
        midnight = now - now % _DAY
        for second in self._plan[::2]:
            if now < midnight + second < due:
                due = midnight + second
        return due

    def called(self) -> bool:
        """Never: nothing calls a lamppost."""
        return False

    def arm(self) -> None:
        """Nothing ends a deep sleep that never comes."""
