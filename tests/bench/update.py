"""What an update costs: `make bench-update`. Octets on the air of a node over its modem twin, by
CoAP with OSCORE against a real fleet; sizes of the project's own last changes; the smallest heap
in which a node verifies and builds; and the time that building takes, beside detools.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import delete
from updates_rig import roll_out

from fleet.releases.tables import Delta
from fleet.wire import cbor
from hil.virtual.modem.energy import Usage
from tests.bench import update_history, update_vm
from tests.bench.update_street import NEW, House, Street

SMALL_PATCH, SMALL_ALL = 300, 1_500  # octets at most, of one constant
HEAP_KB = 64


class Cost(NamedTuple):
    """Of one update, from the report whose receipt brought the assignment to the one that
    confirmed it. `due`: the octets of a report of one reading."""

    what: str
    part: int
    stream: int
    up: int
    down: int
    wakes: int
    due: int

    @property
    def octets(self) -> int:
        """All that the update added to the report that was due anyway."""
        return self.up + self.down - self.due

    @property
    def line(self) -> str:
        """For people."""
        return (
            f"{self.what:<34}{self.part:>8}{self.stream:>8}{self.up:>8}{self.down:>8}"
            f"{self.wakes:>7}{self.due:>6}{self.octets:>8}"
        )


def constant(sources: Path) -> None:
    """The next version: one constant has another value."""
    cycle = sources / "node" / "cycle.py"
    text = cycle.read_text()
    assert text.count("_SPARE_MS = const(3_000)") == 1
    cycle.write_text(text.replace("_SPARE_MS = const(3_000)", "_SPARE_MS = const(3_001)"))


class Measured(Street):
    """A street of one house, where coverage is good."""

    def versions(self) -> dict[int, Callable[[Path], None]]:
        """One constant is another."""
        return {NEW: constant}

    async def cost(self, what: str, whole: bool) -> Cost:
        """Of an update to it; `whole`: from an image that no delta starts from."""
        (house,) = self.houses
        await self._until_heard(house)
        due = await self._report(house)
        with self.database.begin() as session:
            if whole:
                session.execute(delete(Delta))
            roll_out(session, self._wrapper, [house.node.node_id], NEW)
        mark, wakes = house.node.twin.ledger.mark(), house.wakes
        await self._work(house, 0)
        if not house.done:
            raise RuntimeError(f"the update failed: {house.line}")
        used = house.node.twin.ledger.since(mark)
        ((told, stream),) = self._query("SELECT parts, size FROM assigned WHERE sequence = ?", NEW)
        parts: Any = cbor.decode(told)  # type: ignore[arg-type]
        part = parts[-1][2]
        return Cost(
            what, part, int(str(stream)), used.up_octets, used.down_octets, house.wakes - wakes,
            due.up_octets + due.down_octets,
        )  # fmt: skip

    async def _report(self, house: House) -> Usage:
        """An ordinary one: of one reading, with nothing else to tell."""
        ledger = house.node.twin.ledger
        used = Usage()
        for _ in range(3):  # the first ones have a status
            mark = ledger.mark()
            await self._until(house, lambda m=mark: ledger.since(m).up_octets > 0)  # type: ignore[misc]
            used = ledger.since(mark)
        return used


async def air(folder: Path) -> list[Cost]:
    """One constant changed, and the same whole."""
    costs = []
    for what, whole in (("one constant changed", False), ("the whole application", True)):
        place = folder / what.replace(" ", "-")
        place.mkdir()
        street = Measured(place, 1, 0)
        try:
            await street.open(1)
            costs.append(await street.cost(what, whole))
        finally:
            await street.close()
    return costs


async def run(commits: int) -> bool:
    """Print all tables; whether every target is met."""
    with tempfile.TemporaryDirectory(prefix="kapok-update-") as name:
        folder = Path(name)
        costs = await air(folder)
        print("Octets on the air, IP and UDP headers included; bc660k, CoAP with OSCORE, 144 dB")
        print(
            f"{'':<34}{'part':>8}{'stream':>8}{'up':>8}{'down':>8}{'wakes':>7}{'due':>6}{'added':>8}"
        )
        for cost in costs:
            print(cost.line)
        small = costs[0]
        met = small.part <= SMALL_PATCH and small.octets <= SMALL_ALL
        print(
            f"one constant: patch {small.part} (at most {SMALL_PATCH}), all of it {small.octets} "
            f"beside the report that was due (at most {SMALL_ALL}): {_verdict(met)}\n"
        )
        for line in update_history.table(folder, commits):
            print(line)
        lines, heap = update_vm.table(folder)
        for line in lines:
            print(line)
        print(f"heap: at most {HEAP_KB} KB: {_verdict(heap <= HEAP_KB)}")
        return met and heap <= HEAP_KB


def _verdict(met: bool) -> str:
    return "met" if met else "missed"


def main() -> int:
    """Exit code 0 when every target is met."""
    parser = argparse.ArgumentParser(prog="make bench-update")
    parser.add_argument("--commits", type=int, default=10)
    return 0 if asyncio.run(run(parser.parse_args().commits)) else 1


if __name__ == "__main__":
    sys.exit(main())
