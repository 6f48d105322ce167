"""What a lamp's plan asks for at a time: steps by dusk, dawn and the clock, night by night.

A plan is as `schema.lamppost.steps` gives it: anchor, seconds, permille, and so on. A night of the
plan goes from one noon of the sun to the next; each clock step is the first of its time behind the
clock step before it. In force is the last step of the list whose time has come: so a dawn ends the
night however late the steps before it are, and a clock step that comes before dusk says how dusk
begins. It stays so until the first step of the next night.
"""

from micropython import const

from node.modules import forget
from node.twilight import day_of, twilight

_DAY = const(86_400)
_HALF = const(43_200)
_SHORTEST = const(60)  # s: a shorter night is the sun's drift of a day that has none
CLOCK, DUSK, DAWN = const(0), const(1), const(2)


def planned(config: dict, now: int) -> "tuple[int, int]":
    """(permille that the configuration's plan asks for at `now`, until when it surely does)."""
    from node.schema.lamppost import steps

    flat = steps(config["lamp_plan"])
    forget("node.schema")
    if not flat:
        return 0, now + _DAY
    place = (config["latitude_udeg"], config["longitude_udeg"])
    times, later = night(flat, now, place, config["utc_offset_s"])
    dim, change = at(times, now)
    return dim, change if 0 <= change < later else later


def night(steps: list, now: int, place: "tuple[int, int]", offset: int) -> "tuple[list, int]":
    """([time, permille, ...] of the night that is in force at `now`, when the next one begins).

    `place`: microdegrees north and east; `offset`: of the clock from UTC, in s.
    """
    day = day_of(now, place[1]) + 1
    after = _times(steps, day + 1, place, offset)
    times = _times(steps, day, place, offset)
    while times[0] > now:
        after = times
        day -= 1
        times = _times(steps, day, place, offset)
    return times, max(after[0], now + 1)


def at(times: list, now: int) -> "tuple[int, int]":
    """(permille at `now`, the next time at which that may change, -1 when there is none)."""
    dim = times[1]
    until = -1
    for i in range(0, len(times), 2):
        if times[i] <= now:
            dim = times[i + 1]
        elif until < 0 or times[i] < until:
            until = times[i]
    return dim, until


def _times(steps: list, day: int, place: "tuple[int, int]", offset: int) -> list:
    # Of the night that follows the noon of `day`.
    dusk = twilight(day, place[0], place[1])[1]
    dawn = twilight(day + 1, place[0], place[1])[0]
    clock = day * _DAY + _HALF - place[1] * 24 // 100_000  # noon; then the clock step before
    times = []
    bound = False
    for i in range(0, len(steps), 3):
        anchor, seconds = steps[i], steps[i + 1]
        if anchor == CLOCK:
            clock += (seconds - offset - clock) % _DAY
            times.append(clock)
        else:
            bound = True
            times.append((dusk if anchor == DUSK else dawn) + seconds)
        times.append(steps[i + 2])
    if bound and dawn - dusk < _SHORTEST:  # no night: what holds when one is over
        return [dusk, times[-1]]
    return times
