"""Rollouts at the size of a city: the time to make the groups of 3,000,000 terminals, what a tick
costs beside one over 30,000, and 300 seeded releases that fail now and then.

`make bench-rollouts`; ARGS="--url postgresql+psycopg://..." for another database, which must be
empty. It fails while something is over its limit.
"""

import argparse
import sys
import tempfile
import time

from tests.bench import rollouts_city, rollouts_seeds

CREATE_S = 120.0
RATIO = 1.5
GREAT, SMALL = 3_000_000, 30_000


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--terminals", type=int, default=GREAT)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--url", default="", help="of an empty database, in place of SQLite")
    parser.add_argument("--only", choices=("city", "seeds"))
    return parser.parse_args()


def main() -> int:
    """The figures; 1 when one is over its limit."""
    arguments = _arguments()
    failed = False
    if arguments.only != "seeds":
        failed |= _city(arguments.terminals, arguments.url)
    if arguments.only != "city":
        failed |= _seeds(arguments.seeds)
    return 1 if failed else 0


def _city(terminals: int, url: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        cities = []
        for count in (SMALL, terminals):
            where = url if url and count == terminals else f"sqlite:///{folder}/{count}.db"
            city = rollouts_city.City(where, count)
            began = time.perf_counter()
            made = city.create()
            spent = time.perf_counter() - began
            print(f"{count} terminals: groups of {made} made in {spent:.1f} s")
            cities.append(city)
        costs = rollouts_city.ticks(cities)
        for city in cities:
            city.close()
    small, great = costs
    ratio = great / small
    print(
        f"a tick that offers to 1,000 and a batch that moves 1,000 take {small * 1000:.0f} ms with"
        f" {SMALL} terminals and {great * 1000:.0f} ms with {terminals}: ratio {ratio:.2f}"
    )
    if spent > CREATE_S:
        print(f"making the groups is over its limit of {CREATE_S:.0f} s", file=sys.stderr)
    if ratio > RATIO:
        print(f"the ratio is over its limit of {RATIO}", file=sys.stderr)
    return spent > CREATE_S or ratio > RATIO


def _seeds(count: int) -> bool:
    began = time.perf_counter()
    ends = rollouts_seeds.run(count)
    wrong = 0
    for rate in rollouts_seeds.RATES:
        mine = [each for each in ends if each.rate == rate]
        if not mine:
            continue
        states = {state: sum(each.state == state for each in mine) for state in
                  sorted({each.state for each in mine})}  # fmt: skip
        most = max(each.failures for each in mine)
        days = sorted(each.days for each in mine)[len(mine) // 2]
        bad = [each.seed for each in mine if not each.is_right]
        wrong += len(bad)
        print(
            f"{rate / 10:g} % fail, {len(mine)} seeds: {states}, {most} failures at most (canary"
            f" {rollouts_seeds.CANARY}), {days:.0f} days in the median; wrong: {bad or 'none'}"
        )
    print(f"{len(ends)} seeds in {time.perf_counter() - began:.0f} s")
    if wrong:
        print(f"{wrong} seeds ended as they must not", file=sys.stderr)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
