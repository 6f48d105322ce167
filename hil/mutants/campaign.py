"""Random mutants of the firmware, each against the tests that may notice it. What is known of each
is kept as it comes, so that a campaign that was stopped goes on where it was.
"""

import json
import queue
import random
import threading
import time
import zlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

from hil.mutants import choose, points
from hil.mutants.points import Mutant
from hil.mutants.runs import Outcome
from hil.mutants.trees import ROOT, Tree

FOLDER = "firmware/node"
GOAL = 80  # percent that are to be caught
_START_S = 30.0  # of collecting, on a machine that is busy
_SLOWER = 4.0  # how much longer than recorded a test may take before it hangs

Tell = Callable[[str], None]


class Worker(Protocol):
    """Who runs tests in a copy: hil/mutants/warm.py."""

    def run(self, tests: Sequence[str], limit_s: float) -> Outcome:
        """These tests, until the first that fails."""

    def close(self) -> None:
        """It is needed no more."""


def _as_it_is(test: str) -> str:
    file = ROOT / test.partition("::")[0]
    return f"{test}@{zlib.crc32(file.read_bytes() if file.exists() else b''):08x}"


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


class Judge:
    """Puts mutants into one copy, whose `worker` is asked; `known`: which tests execute what."""

    def __init__(self, tree: Tree, worker: Worker, known: choose.Map) -> None:
        self._tree = tree
        self._worker = worker
        self._map = known

    def judge(self, mutant: Mutant, asked: Collection[str] = ()) -> tuple[Outcome, list[str]]:
        """Ask the tests that may notice it, until one does, but for those that were asked before;
        and who was asked: tests and files of tests as they are, so that a better one is another.
        """
        source = (ROOT / mutant.path).read_text()
        chosen = self._map.chosen(mutant, mutant.before.count("\n") + 1)
        batches = [(tests, False) for tests in chosen.direct]
        batches += [(file, True) for file in chosen.vm + chosen.rig]
        seconds, excused = 0.0, ""
        told: list[str] = []
        for tests, on_vm in batches:
            fresh = [test for test in tests if _as_it_is(test) not in asked]
            told += map(_as_it_is, tests)
            if not fresh:
                continue
            with self._tree.changed(mutant.path, mutant.applied(source)):
                outcome = self._run(fresh)
            seconds += outcome.seconds
            # On a busy machine a test on a VM may fail by itself: what fails without it too is
            # no catch.
            if outcome.caught and on_vm:
                alone = self._run(fresh)
                seconds += alone.seconds
                if alone.caught:
                    excused = f"{outcome.by} fails without it too; "
                    continue
            if outcome.caught:
                return outcome._replace(seconds=seconds), told
        by = f"{excused}{len(told)} tests and files asked"
        return Outcome("survived", by, seconds), told

    def _run(self, tests: list[str]) -> Outcome:
        return self._worker.run(tests, _START_S + _SLOWER * self._map.seconds(tests))

    def close(self) -> None:
        """It judges no more."""
        self._worker.close()


class Campaign:
    """`folder` keeps the results of a seed, which the judges that `call` gives find side by side:
    so many as `call` thinks fit for a number of mutants."""

    def __init__(
        self, folder: Path, seed: int, call: Callable[[int], Sequence[Judge]], tell: Tell
    ) -> None:
        self._seed = seed
        self._results = folder / f"random-{seed}.jsonl"
        self.survivors = folder / f"survivors-{seed}.txt"
        self._call = call
        self._tell = tell
        self._lock = threading.Lock()

    def run(self, count: int, again: bool = False) -> int:
        """Judge so many mutants, those that were judged before excepted, but with `again` those
        that survived too; percent caught."""
        mutants = drawn(self._seed, count)
        done = self.results()
        known = {name: frozenset(row.get("asked", ())) for name, row in done.items()}
        if again:
            done = {name: row for name, row in done.items() if row["kind"] != "survived"}
        waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
        for mutant in mutants:
            if mutant.id not in done:
                waiting.put(mutant)
        fresh = waiting.qsize()
        judges = self._call(fresh)
        began = time.monotonic()
        failed: list[BaseException] = []

        def work(judge: Judge) -> None:
            while not failed:
                try:
                    mutant = waiting.get_nowait()
                    outcome, asked = judge.judge(mutant, known.get(mutant.id, ()))
                except queue.Empty:
                    return
                except BaseException as e:
                    failed.append(e)
                    return
                with self._lock:
                    done[mutant.id] = self._keep(mutant, outcome, asked)
                    over = sum(1 for one in mutants if one.id in done)
                    each = (time.monotonic() - began) / max(1, fresh - (count - over))
                    self._tell(
                        f"{over}/{count} {outcome.kind} {outcome.seconds:.0f} s {mutant}"
                        f" [{outcome.by}] {(count - over) * each / 60:.0f} min to go"
                    )

        threads = [threading.Thread(target=work, args=(judge,)) for judge in judges]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            failed.append(KeyboardInterrupt())
            for judge in judges:
                judge.close()
        if len(failed) > 1:
            raise failed[0]
        return self._closed([done[mutant.id] for mutant in mutants], time.monotonic() - began)

    def results(self) -> dict[str, dict[str, Any]]:
        """What is known, by mutant, the newest; a line that was cut short is not."""
        found = {}
        if self._results.exists():
            for line in self._results.read_text().splitlines():
                try:
                    row = json.loads(line)
                except ValueError:
                    continue  # power failed while it was written: judged again
                found[row["id"]] = row
        return found

    def _keep(self, mutant: Mutant, outcome: Outcome, asked: list[str]) -> dict[str, Any]:
        row: dict[str, Any] = {
            "id": mutant.id,
            "kind": outcome.kind,
            "by": outcome.by,
            "seconds": round(outcome.seconds, 1),
            "mutant": str(mutant),
        }
        if outcome.kind == "survived":
            row["asked"] = asked
        self._results.parent.mkdir(parents=True, exist_ok=True)
        with self._results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return row

    def _closed(self, rows: list[dict[str, Any]], took_s: float) -> int:
        alive = [row["mutant"] for row in rows if row["kind"] == "survived"]
        self.survivors.write_text("".join(f"{line}\n" for line in sorted(alive)))
        caught = len(rows) - len(alive)
        percent = 100 * caught // len(rows) if rows else 100
        late = sum(1 for row in rows if row["kind"] == "timeout")
        total = sum(row["seconds"] for row in rows)
        self._tell(
            f"seed {self._seed}: {caught} of {len(rows)} mutants caught ({percent} %), {late} of"
            f" them by a time-out; {total / max(len(rows), 1):.0f} s each, {took_s / 60:.0f} min;"
            f" survivors: {self.survivors}"
        )
        return percent
