"""Random mutants of the firmware, each against the tests that may notice it. What is known of each
is kept as it comes, so that a campaign that was stopped goes on where it was.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hil.mutants import choose, points, runs
from hil.mutants.points import Mutant
from hil.mutants.runs import Outcome
from hil.mutants.trees import ROOT, Tree

FOLDER = "firmware/node"
GOAL = 80  # percent that are to be caught
_SOME = 4  # test files of the first look: most mutants are caught by the quickest
_START_S = 60.0  # of pytest itself, on a machine that is busy
_SLOWER = 6.0  # how much longer than recorded a test may take before it hangs

Tell = Callable[[str], None]


def drawn(seed: int, count: int) -> list[Mutant]:
    """`count` mutants of the firmware as it is, the same for the same seed."""
    everything = points.of_folder(ROOT, FOLDER)
    order = random.Random(seed).sample(everything, len(everything))
    found: list[Mutant] = []
    for mutant in order:
        if len(found) == count:
            break
        if points.compiles(mutant, (ROOT / mutant.path).read_text()):
            found.append(mutant)
    return found


class Campaign:
    """`folder` keeps the results; `known`: which tests execute what; `vm_most` bounds the test
    files on a VM that are asked of one mutant (None: all)."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        known: choose.Map,
        tree: Tree,
        vm_most: int | None,
        tell: Tell,
    ) -> None:
        self._seed = seed
        self._results = folder / f"random-{seed}.jsonl"
        self._survivors = folder / f"survivors-{seed}.txt"
        self._map = known
        self._tree = tree
        self._vm_most = vm_most
        self._tell = tell

    def run(self, count: int) -> int:
        """Judge so many mutants, those that were judged before excepted; percent caught."""
        done = self.results()
        mutants = drawn(self._seed, count)
        began, fresh = time.monotonic(), 0
        for number, mutant in enumerate(mutants, 1):
            if mutant.id in done:
                continue
            outcome = self.judge(mutant)
            fresh += 1
            done[mutant.id] = self._keep(mutant, outcome)
            each = (time.monotonic() - began) / fresh
            left = sum(1 for other in mutants if other.id not in done)
            self._tell(
                f"{number}/{count} {outcome.kind} {outcome.seconds:.0f} s {mutant}"
                f" [{outcome.by}] {left * each / 60:.0f} min to go"
            )
        rows = [done[mutant.id] for mutant in mutants]
        return self._closed(rows)

    def judge(self, mutant: Mutant) -> Outcome:
        """Put it into the copy, and ask the tests that may notice it, quickest first."""
        source = (ROOT / mutant.path).read_text()
        chosen = self._map.chosen(mutant, mutant.before.count("\n") + 1)
        seconds = 0.0
        outcome = Outcome("survived", "", 0.0)
        with self._tree.changed(mutant.path, mutant.applied(source)):
            for files in _batches(chosen, self._vm_most):
                limit = _START_S + _SLOWER * self._map.seconds(files)
                outcome = runs.run(self._tree, ["-n", "0", *files], limit)
                seconds += outcome.seconds
                if outcome.caught:
                    break
            else:
                return Outcome("survived", "", seconds)
        # On a busy machine a test on a VM may fail by itself: then nobody knows, and it is said.
        if files[0] not in chosen.direct and outcome.kind == "caught":
            alone = runs.run(self._tree, ["-n", "0", outcome.by], _START_S + limit)
            seconds += alone.seconds
            if alone.caught:
                outcome = Outcome("survived", f"{outcome.by} fails without it too", seconds)
        return outcome._replace(seconds=seconds)

    def results(self) -> dict[str, dict[str, Any]]:
        """What is known, by mutant; a line that was cut short is not."""
        found = {}
        if self._results.exists():
            for line in self._results.read_text().splitlines():
                try:
                    row = json.loads(line)
                except ValueError:
                    continue  # power failed while it was written: judged again
                found[row["id"]] = row
        return found

    def _keep(self, mutant: Mutant, outcome: Outcome) -> dict[str, Any]:
        row = {
            "id": mutant.id,
            "kind": outcome.kind,
            "by": outcome.by,
            "seconds": round(outcome.seconds, 1),
            "mutant": str(mutant),
        }
        self._results.parent.mkdir(parents=True, exist_ok=True)
        with self._results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return row

    def _closed(self, rows: list[dict[str, Any]]) -> int:
        alive = [row["mutant"] for row in rows if row["kind"] == "survived"]
        self._survivors.write_text("".join(f"{line}\n" for line in sorted(alive)))
        caught = len(rows) - len(alive)
        percent = 100 * caught // len(rows) if rows else 100
        late = sum(1 for row in rows if row["kind"] == "timeout")
        total = sum(row["seconds"] for row in rows)
        self._tell(
            f"seed {self._seed}: {caught} of {len(rows)} mutants caught ({percent} %), {late} of"
            f" them by a time-out; {total / max(len(rows), 1):.0f} s each; survivors:"
            f" {self._survivors}"
        )
        return percent


def _batches(chosen: choose.Chosen, vm_most: int | None) -> Iterator[list[str]]:
    vm = chosen.vm[:vm_most]
    for files in (chosen.direct[:_SOME], chosen.direct[_SOME:], vm[:_SOME], vm[_SOME:]):
        if files:
            yield files
