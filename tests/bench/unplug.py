"""`make soak-unplug`: 200 boards, each unplugged once while it is flashed or provisioned.

Then the very same two commands again: every board must be good, with one identity that is the
fleet's too, and no private key lies anywhere but on the boards. In every fourth round the command
itself is killed by -9; in every third the boards have older code and a journal. Ctrl-C ends with
the summary of what was done.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hil.virtual.bench.folder import BenchError
from tests.bench import canary
from tests.bench.unplug_check import Books, Reference, board_problems, journal_saved
from tests.bench.unplug_points import FLASH, PROVISION, Point, Scissors, Spread, measure
from tests.bench.unplug_rig import Bench, Rig

KILL_EVERY, USED_EVERY = 4, 3
PHASES = (FLASH, PROVISION)


class Tally:
    """What the rounds came to."""

    def __init__(self) -> None:
        self.points = self.good = self.kills = 0
        self.nodes: set[str] = set()
        self.steps: Counter[str] = Counter()
        self.keys: list[bytes] = []  # DER, of all boards
        self.unique: set[bytes] = set()
        self.twice = 0

    def holds(self, ours: dict[str, Any]) -> None:
        """Remember a board's secrets; none may be another's."""
        for name in ("key", "key2", "cert", "oscore", "hmac"):
            if isinstance(ours[name], bytes):
                self.twice += ours[name] in self.unique
                self.unique.add(ours[name])
        self.keys += [ours[name] for name in ("key", "key2") if isinstance(ours[name], bytes)]


class Campaign:
    """Rounds on one fleet, until there are enough points."""

    def __init__(self, rig: Rig, seed: int, boards: int, only: str) -> None:
        self._rig, self._boards = rig, boards
        self._chance = random.Random(seed)
        self.tally = Tally()
        self.number = 0
        with rig.bench(1) as bench:
            flash, flash_s = measure(rig, bench, FLASH)
            bench.off("1")
            runtime = (rig.folder / "bench" / "runtime-esp32s3.bin").read_bytes()
            self._reference = Reference(bench.flash("1").read_bytes(), runtime)
            bench.do("1", "power-on")
            provision, provision_s = measure(rig, bench, PROVISION)
            self._seconds = {FLASH: flash_s, PROVISION: provision_s}  # what a kill falls into
            self._books = Books(rig.data)
            wrong = self._check(bench, "1")
            if wrong:
                raise RuntimeError(f"a board without a cut is not good: {wrong}")
        self._spread = Spread(self._chance, flash, provision, only)
        print(*(f"{phase}: " + ", ".join(f"{s.name} {s.first}" for s in steps) for phase, steps
                in ((FLASH, flash), (PROVISION, provision))), sep="\n", flush=True)  # fmt: skip

    def round(self, count: int) -> None:
        """`count` new boards, a point each."""
        began = time.monotonic()
        number, self.number = self.number, self.number + 1
        kill = PHASES[number // KILL_EVERY % 2] if number % KILL_EVERY == 1 else ""
        with self._rig.bench(count) as bench:
            points = {
                board: self._spread.point(kill or PHASES[(int(board) + number) % 2])
                for board in bench.nodes
            }
            used = number % USED_EVERY == 0
            journals = self._wear(bench) if used else {}
            said = self._cut(bench, points, kill) + (", used boards" if used else "")
            for board in bench.nodes:
                bench.do(board, "power-on")
            again = [(phase, self._rig.run(phase)) for phase in PHASES]
            # Not of the runs that were cut: some boards of those wait long for nothing.
            self._seconds = {phase: ran.seconds for phase, ran in again}
            wrong = {board: self._check(bench, board) for board in bench.nodes}
            for board, journal in journals.items():
                if not journal_saved(self._rig.place, bench.nodes[board], journal):
                    wrong[board].append("its journal is lost")
            for phase, ran in again:
                for board in bench.nodes:
                    if board not in ran.good:
                        wrong[board].append(f"kapok {phase}: {ran.last.get(board, ran.code)}")
                if ran.code and len(ran.good) == count:
                    wrong["1"].append(f"kapok {phase} ended with {ran.code}")
            for board, found in wrong.items():
                self.tally.steps[f"{points[board].phase} {points[board].step}"] += 1
                self.tally.good += not found
                if found:
                    print(f"  {bench.nodes[board]} cut at {points[board]}{said}:", *found,
                          sep="\n    ", flush=True)  # fmt: skip
        self.tally.points += count
        good = sum(not found for found in wrong.values())
        took = time.monotonic() - began
        print(f"round {number + 1}: good {good} of {count}{said}, {took:.0f} s", flush=True)

    def _wear(self, bench: Bench) -> dict[str, bytes]:
        """The boards have older code, and a journal each, which is given."""
        journals = {}
        for board in bench.nodes:
            bench.off(board)
            journals[board] = self._chance.randbytes(3000)
            flash = self._reference.used(self._chance, journals[board])
            bench.flash(board).write_bytes(flash)
            bench.do(board, "power-on")
        return journals

    def _cut(self, bench: Bench, points: dict[str, Point], kill: str) -> str:
        """Both commands, with cuts; tells of a kill."""
        for phase in PHASES:
            mine = {board: point for board, point in points.items() if point.phase == phase}
            scissors = Scissors(bench, mine)
            after = 0.3 + self._chance.random() * self._seconds[phase] if kill == phase else 0.0
            ran = self._rig.run(phase, scissors.on_step, after)
            if kill == phase and ran.code == -signal.SIGKILL:
                self.tally.kills += 1
                # Nobody pulls a plug now: the rest is as the killed command left it.
                scissors.put_away()
                return f", kapok {phase} killed after {after:.1f} s"
            scissors.close()
        return ""

    def _check(self, bench: Bench, board: str) -> list[str]:
        test = bench.selftest(board)
        bench.off(board)
        wrong, ours = board_problems(
            bench.flash(board), bench.nodes[board], self._reference, self._books
        )
        if (test.get("provisioned"), test.get("mac")) != (True, bench.macs[board]):
            wrong.append(f"its self-test: {test}")
        self.tally.nodes.add(bench.nodes[board])
        self.tally.holds(ours)
        return wrong

    def books_problems(self) -> list[str]:
        """Of the whole fleet: no node but the boards, none twice, no token overdrawn."""
        wrong = []
        registered = [row[0] for row in self._books.rows("SELECT id FROM terminals ORDER BY id")]
        if registered != sorted(self.tally.nodes):
            wrong.append(f"{len(registered)} nodes, but {len(self.tally.nodes)} boards")
        if self._books.rows("SELECT used FROM claim_tokens") != [(len(self.tally.nodes),)]:
            wrong.append("the token was used for more or fewer boards than there are")
        if self.tally.twice:
            wrong.append(f"{self.tally.twice} secrets are on two boards")
        return wrong


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.unplug", description=__doc__)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--boards", type=int, default=8, help="at once")
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--step", default="", help="cut only in this one, as write")
    parser.add_argument("--sabotage", help="names of tests/bench/unplug_sabotage.py")
    return parser.parse_args()


def main() -> int:
    """Exit code 1 unless every point left a good board and no key was found."""
    given = _arguments()
    kapok = None
    if given.sabotage:
        kapok = [sys.executable, "-m", "tests.bench.unplug_sabotage", given.sabotage]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="unplug-") as name:
        rig = Rig(Path(name), kapok)
        try:
            rig.start(given.points + 2)
            campaign = Campaign(rig, given.seed, given.boards, given.step)
            tally = campaign.tally
            ended = ""
            try:
                while tally.points < given.points:
                    count = min(given.boards, given.points - tally.points)
                    try:
                        campaign.round(count)
                    except (BenchError, OSError) as e:  # no point of this round is a good one
                        tally.points += count
                        print(
                            f"round {campaign.number}: {e}", rig.bench_said(), sep="\n", flush=True
                        )
            except KeyboardInterrupt:
                ended = "interrupted, "
            wrong = [] if ended else campaign.books_problems()
        finally:
            rig.stop()
        canary.check_sight(tally.keys[0], rig.searched)
        found = canary.search(tally.keys, rig.searched)
    for line in [*wrong, *found]:
        print(line)
    print(", ".join(f"{step} {count}" for step, count in sorted(tally.steps.items())))
    live = len(tally.nodes) - 1  # without the first board, whose steps were measured
    print(
        f"{ended}points {tally.points} good {tally.good} identities {live} kills {tally.kills}"
        f" keys {len(tally.keys)} found {len(found)}"
    )
    return 1 if ended or wrong or found or tally.good < tally.points else 0


if __name__ == "__main__":
    sys.exit(main())
