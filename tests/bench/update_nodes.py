"""`make soak-update-nodes`: 20 virtual nodes at three levels of coverage, awake 60 s at a time,
take a delta across several wakes; one loses power 10 times at random, and the fleet dies once. All
must have confirmed it in the end.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.update_street import AWAKE_S, House, Street

TABLE = 24_000  # bytes: at 164 dB three wakes fetch


def verdicts(street: Street, cut: int, cuts: int) -> list[str]:
    """What is not as it must be, a line each."""
    found = []
    for place, house in enumerate(street.houses):
        if not house.done:
            found.append(f"not confirmed: {house.line}")
        if house.node.board.life.crashes:
            found.append(f"crashed, or bitten by its watchdog after {AWAKE_S} s: {house.line}")
        if house.cuts != (cuts if place == cut else 0):
            found.append(f"{house.cuts} power cuts: {house.line}")
        if not house.marks:
            found.append(f"all of it came in one wake: {house.line}")
    if street.restarts != 1:
        found.append("the fleet did not die")
    return found


async def run(count: int, cut: int, cuts: int, seed: int) -> list[str]:
    """The campaign; prints a line for each node, and gives what is wrong."""
    with tempfile.TemporaryDirectory(prefix="kapok-street-") as folder:
        street = Street(Path(folder), seed, TABLE)
        began = time.monotonic()
        try:
            await street.open(count)
            await street.deliver([cut], cuts)
            tell(street.houses)
            wrong = verdicts(street, cut, cuts)
        finally:
            await street.close()
        confirmed = sum(house.done for house in street.houses)
        total = sum(house.cuts for house in street.houses)
        sizes, took = street.sizes, time.monotonic() - began
        print(
            f"{confirmed} of {count} nodes confirmed a delta of {sizes['delta']} bytes to an "
            f"image of {sizes['image']}; {total} power cuts; {took:.0f} s"
        )
        return wrong


def tell(houses: list[House]) -> None:
    """A line for each."""
    for house in houses:
        print(house.line)


def main() -> None:
    """Exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    wrong = asyncio.run(run(given.nodes, min(4, given.nodes - 1), given.cuts, given.seed))
    for line in wrong:
        print(f"FAILED: {line}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
