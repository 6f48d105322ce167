"""The energy ledger: which state the module was in for how long, times what that state draws."""

import tomllib
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from fleet.paths import hw_dir
from hil.virtual.modem.radio import Burst

STATES = ("off", "psm", "light_sleep", "idle", "rx", "tx", "connected", "search", "edrx")
ASLEEP = frozenset({"off", "psm", "light_sleep", "edrx"})


@dataclass(frozen=True)
class Power:
    """Milliamperes at `volts`: by state in `ma`, and in `tx` by dBm, rising.

    `technology` is "nb-iot" or "lte-cat1".
    """

    technology: str
    volts: float
    minimum_volts: float
    ma: Mapping[str, float]
    tx: tuple[tuple[int, float], ...]

    def transmitting(self, dbm: int) -> float:
        """mA at this power, straight between the points that are known."""
        levels = [level for level, _ in self.tx]
        if dbm <= levels[0] or len(levels) == 1:
            return self.tx[0][1]
        if dbm >= levels[-1]:
            return self.tx[-1][1]
        at = bisect_left(levels, dbm)
        (low, low_ma), (high, high_ma) = self.tx[at - 1], self.tx[at]
        return low_ma + (high_ma - low_ma) * (dbm - low) / (high - low)


def load(family: str) -> Power:
    """The figures of `hw/modems/<family>.toml`; ValueError names what is missing there."""
    name = f"{family}.toml"
    table = tomllib.loads((hw_dir() / "modems" / name).read_text())
    try:
        ma = dict(table["power_ma"])
        tx = sorted((int(dbm), float(value)) for dbm, value in ma.pop("tx").items())
        ma = {state: float(ma[state]) for state in ("off", "psm", "light_sleep", "idle", "rx")}
        supply = table["supply"]
        power = Power(
            str(table["technology"]),
            float(supply["volts"]),
            float(supply["minimum_volts"]),
            ma,
            tuple(tx),
        )
    except KeyError as e:
        raise ValueError(f"{name}: {e.args[0]} is missing") from None
    if not tx or any(a[1] > b[1] for a, b in pairwise(tx)):
        raise ValueError(f"{name}: power_ma.tx must rise with the power")
    return power


@dataclass
class Usage:
    """What was used: millijoules and seconds by state, and octets of IP packets on the air."""

    mj_by_state: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    up_octets: int = 0
    down_octets: int = 0

    @property
    def mj(self) -> float:
        """All of it."""
        return sum(self.mj_by_state.values())

    @property
    def awake_s(self) -> float:
        """Seconds in which the module neither slept nor was off."""
        return sum(s for state, s in self.seconds.items() if state not in ASLEEP)


@dataclass(frozen=True)
class _Segment:
    start_us: int
    end_us: int
    state: str
    ma: float


class Ledger:
    """Counts from its first `base` on. Radio time is entered ahead and counted as it passes.

    `mark` and `since` bracket one report; any number of marks may be open. `on_count` is told, in
    order, from when on it drew how much, once that has passed.
    """

    def __init__(self, power: Power, now: Callable[[], int]) -> None:
        self.power = power
        self._now = now
        self._at = now()
        self._base = ("off", power.ma["off"])
        self._ahead: deque[_Segment] = deque()
        self._total = Usage()
        self.on_count: Callable[[int, float], None] = lambda from_us, ma: None

    @property
    def end_us(self) -> int:
        """When what has been entered ends."""
        return self._ahead[-1].end_us if self._ahead else self._now()

    @property
    def state(self) -> str:
        """The state now."""
        self._settle()
        if self._ahead and self._ahead[0].start_us <= self._at:
            return self._ahead[0].state
        return self._base[0]

    def base(self, state: str, ma: float | None = None) -> None:
        """From now on this is the state wherever no radio time is entered."""
        self._settle()
        self._base = (state, self.power.ma[state] if ma is None else ma)

    def play(self, bursts: Iterable[Burst], start_us: int) -> None:
        """Enter radio time from `start_us` on, which nothing entered so far overlaps."""
        at = start_us
        for burst in bursts:
            if burst.kind == "tx":
                self._enter(at, burst.us, "tx", self.power.transmitting(burst.dbm))
            elif burst.kind == "rx":
                self._enter(at, burst.us, "rx", self.power.ma["rx"])
            else:
                self._enter(at, burst.us, "connected", self.power.ma["idle"])
            at += burst.us

    def tail(self, start_us: int, us: int, monitoring: float) -> None:
        """Enter connected time without traffic: the receiver is on for a share of it."""
        ma = monitoring * self.power.ma["rx"] + (1 - monitoring) * self.power.ma["idle"]
        self._enter(start_us, us, "connected", ma)

    def cut(self, from_us: int) -> None:
        """What was entered for later than `from_us` does not happen."""
        self._settle()
        while self._ahead and self._ahead[-1].end_us > from_us:
            last = self._ahead.pop()
            if last.start_us < from_us:
                self._ahead.append(_Segment(last.start_us, from_us, last.state, last.ma))

    def octets(self, up: int = 0, down: int = 0) -> None:
        """IP packets that were on the air."""
        self._total.up_octets += up
        self._total.down_octets += down

    def mark(self) -> Usage:
        """All up to now."""
        self._settle()
        total = self._total
        return Usage(
            dict(total.mj_by_state), dict(total.seconds), total.up_octets, total.down_octets
        )

    def since(self, mark: Usage) -> Usage:
        """What was used since `mark` was taken."""
        now = self.mark()
        return Usage(
            {k: v - mark.mj_by_state.get(k, 0.0) for k, v in now.mj_by_state.items()},
            {k: v - mark.seconds.get(k, 0.0) for k, v in now.seconds.items()},
            now.up_octets - mark.up_octets,
            now.down_octets - mark.down_octets,
        )

    def _enter(self, start_us: int, us: int, state: str, ma: float) -> None:
        if us > 0:
            self._ahead.append(_Segment(start_us, start_us + us, state, ma))

    def _settle(self) -> None:
        now = self._now()
        while self._ahead and self._ahead[0].start_us < now:
            segment = self._ahead[0]
            self._count(*self._base, segment.start_us)
            self._count(segment.state, segment.ma, min(segment.end_us, now))
            if segment.end_us > now:
                return
            self._ahead.popleft()
        self._count(*self._base, now)

    def _count(self, state: str, ma: float, to_us: int) -> None:
        if to_us <= self._at:
            return
        self.on_count(self._at, ma)
        seconds = (to_us - self._at) / 1_000_000
        total = self._total
        total.seconds[state] = total.seconds.get(state, 0.0) + seconds
        mj = seconds * ma * self.power.volts
        total.mj_by_state[state] = total.mj_by_state.get(state, 0.0) + mj
        self._at = to_us
