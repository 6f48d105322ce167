"""Two hundred seeded scenarios for each modem family: `make bench-scenarios`.

Each says beforehand whether its report can be delivered, and if not, for what reason. The driver
must agree, within the cap of every wake, and none may hang. Seeds and outcomes are printed.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple
from unittest.mock import patch

from contact import Fleet, State, contact, driver
from modem_bench import Bench, jumping

from hil.virtual.modem import ModemTwin, energy
from hil.virtual.modem.families import FAMILIES
from tests.bench.cases import Case, make

COUNT = 200
CAP_S = 300.0  # awake_s: what the watchdog allows
PAUSES_S = (0, 60, 120, 240, 480)  # before each wake: the node's back-off
REPORT = 120  # bytes
HANG_S = 120.0  # real seconds of one scenario


class Outcome(NamedTuple):
    """What came of a case; `wrong` is empty when it came as foretold."""

    family: str
    seed: int
    case: str
    said: str
    wakes: int
    awake_s: float  # of the longest wake
    wrong: str


def judge(case: Case, error: Exception | None, got: int, awake_s: float) -> str:
    """What differs from what the case foretold; empty when nothing does."""
    if awake_s > CAP_S:
        return f"a wake of {awake_s:.0f} s, the cap is {CAP_S:.0f} s"
    if case.deliverable:
        if error is not None:
            return f"not delivered: {type(error).__name__} {error}"
        return "" if got else "the receipt came for a report that did not arrive"
    if error is None:
        return f"delivered, where {' or '.join(case.reasons)} was foretold"
    name, cause = type(error).__name__, getattr(error, "cause", 0)
    if name not in case.reasons or case.cause not in (0, cause):
        return f"{name} {cause}, foretold was {' or '.join(case.reasons)} {case.cause or ''}"
    return ""


def play(family: str, seed: int) -> Outcome:
    """One scenario, from power on to the receipt, or to the last wake that the node gives it."""
    case = make(family, energy.load(family).technology, seed)

    async def main() -> Outcome:
        async with Fleet(REPORT) as fleet:
            twin = ModemTwin(family, seed=seed, scenario=case.scenario)
            bench = Bench(twin)
            twin.power_on()
            modem, state = driver(family, bench, case.pins), State()
            report = seed.to_bytes(4, "big") + bytes(random.Random(seed).randbytes(REPORT - 4))
            error: Exception | None = None
            longest = wakes = 0.0
            for pause_s in PAUSES_S:
                twin.deep_sleep_of_host()
                await asyncio.sleep(pause_s)
                began = bench.now()
                error = await contact(bench, modem, state, fleet.port, report, CAP_S)
                longest = max(longest, (bench.now() - began) / 1e6)
                wakes += 1
                if error is None:
                    break
            twin.power_off()
            await asyncio.sleep(0)
            said = f"{type(error).__name__} {getattr(error, 'cause', 0)}" if error else "delivered"
            wrong = judge(case, error, fleet.got.get(report[:4], 0), longest)
            return Outcome(family, seed, case.kind, said, int(wakes), longest, wrong)

    began = time.monotonic()
    chance = random.Random(f"{family} node {seed}")
    try:
        with patch("os.urandom", chance.randbytes):  # the driver's jitter
            outcome = jumping(lambda: asyncio.wait_for(main(), 7200))  # virtual seconds
    except TimeoutError:
        return Outcome(family, seed, case.kind, "hangs", 0, 0.0, "hangs for two virtual hours")
    except Exception as e:
        return Outcome(family, seed, case.kind, "breaks", 0, 0.0, f"{type(e).__name__}: {e}")
    if time.monotonic() - began > HANG_S:
        return outcome._replace(wrong=f"took {time.monotonic() - began:.0f} real seconds")
    return outcome


def play_all(families: Iterable[str], seeds: range) -> list[Outcome]:
    """Every seed of every family, on all processors."""
    tasks = [(family, seed) for family in families for seed in seeds]
    with ProcessPoolExecutor() as pool:
        return list(pool.map(play, *zip(*tasks, strict=True), chunksize=4))


def main() -> int:
    """Exit code 0 when every scenario came as foretold."""
    parser = argparse.ArgumentParser(prog="make bench-scenarios")
    parser.add_argument("families", nargs="*", default=sorted(FAMILIES))
    parser.add_argument("--count", type=int, default=COUNT, help="scenarios of each family")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    outcomes = play_all(
        arguments.families, range(arguments.first, arguments.first + arguments.count)
    )
    for o in outcomes:
        print(
            f"{o.family:<8} {o.seed:>4} {o.case:<16} {o.said:<22} wakes {o.wakes} "
            f"{o.awake_s:>4.0f} s  {o.wrong}"
        )
    wrong = [o for o in outcomes if o.wrong]
    for family in arguments.families:
        mine = [o for o in outcomes if o.family == family]
        said = Counter(o.said.split()[0] for o in mine)
        text = ", ".join(f"{name} {n}" for name, n in said.most_common())
        bad = sum(bool(o.wrong) for o in mine)
        print(f"{family}: {len(mine)} scenarios, not as foretold {bad}: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
