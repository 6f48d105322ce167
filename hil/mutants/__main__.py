"""`python -m hil.mutants`: deliberate faults, random mutants, and the map that chooses tests."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time

from fleet.errors import Refusal
from hil.mutants import campaign, choose, faults, imports, recorder
from hil.mutants.trees import ROOT, Tree
from hil.mutants.warm import RIG, Warm

_FOLDER = ROOT / "build" / "mutants"
_MAP = _FOLDER / "map"


def main() -> int:
    """0: all, or enough, were caught; 1: not, or refused; 2: wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m hil.mutants", description=__doc__)
    kinds = parser.add_subparsers(dest="what", required=True)
    one = kinds.add_parser("faults", help="each fault of faults.toml against the suite")
    one.add_argument("--suite", choices=("hil", "own"), default=_suite(), help="on which tests")
    one.add_argument("--rig", default=RIG, help="for the suite hil")
    one.add_argument("--only", metavar="ID", nargs="*", help="these faults alone")
    two = kinds.add_parser("record", help="record which tests execute what (tests run once)")
    two.add_argument("tests", nargs="*", help="files of tests; none: all that run on CPython")
    two.add_argument("--jobs", type=int, default=2, help="that many at a time")
    three = kinds.add_parser("random", help="random mutants of firmware/node; resumable by seed")
    three.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    three.add_argument("--count", type=int, default=200)
    three.add_argument("--jobs", type=int, default=1, help="that many at a time")
    three.add_argument(
        "--vm-most", type=int, default=choose.VM_MOST, help="files of tests on a VM for each"
    )
    three.add_argument("--again", action="store_true", help="ask those that survived once more")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, _ended)
    try:
        if chosen.what == "faults":
            return _faults(chosen)
        return _record(chosen.tests, chosen.jobs) if chosen.what == "record" else _random(chosen)
    except KeyboardInterrupt:
        sys.stderr.write("mutants: stopped; what is known is kept\n")
        return 1
    except Refusal as e:
        sys.stderr.write(f"mutants: {e}\n")
        return 1


def _ended(_signal: int, _frame: object) -> None:
    # As by Ctrl-C: the tests that were started end too.
    raise KeyboardInterrupt


def _suite() -> str:
    return "hil" if (ROOT / RIG).exists() else "own"


def _faults(chosen: argparse.Namespace) -> int:
    wanted = [f for f in faults.load() if not chosen.only or f.id in chosen.only]
    suite = faults.Suite(chosen.rig if chosen.suite == "hil" else None)
    tree = Tree(_FOLDER / f"tree-faults-{os.getpid()}")
    try:
        verdicts = faults.judge_all(wanted, suite, tree, _tell)
    finally:
        shutil.rmtree(tree.folder, ignore_errors=True)
    missed = [each.fault for each in verdicts if not each.outcome.caught]
    for fault in missed:
        _tell(f"NOT CAUGHT: {fault.id}: {fault.says} ({', '.join(fault.requirements)})")
    for each in verdicts:
        if each.outcome.caught and not each.proved:
            names = ", ".join(each.fault.requirements)
            _tell(f"caught, but by no test of {names}: {each.fault.id}")
    _tell(f"{len(verdicts) - len(missed)} of {len(verdicts)} faults caught")
    return 1 if missed else 0


def _record(tests: list[str], shares: int) -> int:
    files = tests or imports.direct_tests()
    processes = []
    for old in _MAP.glob("*.json"):
        old.unlink()
    for share in range(shares):
        part = files[share::shares]
        environment = {
            **os.environ,
            recorder.TARGET: str(_MAP / f"{share}.json"),
            "PYTHONPATH": str(ROOT),
        }
        plugins = ["-p", "hil.mutants.recorder", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", *plugins, *part]
        processes.append(subprocess.Popen(command, cwd=ROOT, env=environment))
    codes = [process.wait() for process in processes]
    written = sorted(_MAP.glob("*.json"))
    _tell(f"{_MAP}: {len(written)} of {shares} parts")
    return 0 if set(codes) <= {0, 1} and len(written) == shares else 1


def _random(chosen: argparse.Namespace) -> int:
    _tell(f"seed {chosen.seed}: go on with --seed {chosen.seed} when this is stopped")
    _tell(
        "asked of each mutant: the tests that execute its line on CPython, nearest first, in three"
        f" steps worth {choose.DIRECT_S:.0f} s each; then {chosen.vm_most} files of tests on a VM,"
        f" worth {choose.VM_S:.0f} s, and {choose.RIG_MOST} of the virtual rig's that are about it"
    )
    known = choose.load(_MAP, chosen.vm_most)
    if known.failed:
        _tell(f"these fail without a mutant, and are not asked: {', '.join(known.failed)}")

    def call(count: int) -> list[campaign.Judge]:
        judges: list[campaign.Judge] = []
        first: Tree | None = None
        for number in range(min(chosen.jobs, count)):
            tree = Tree(_FOLDER / f"tree-{chosen.seed}-{number}", first)
            worker = Warm(tree, known.modules, [] if first else known.files)
            first = first or tree
            judges.append(campaign.Judge(tree, worker, known))
        return judges

    hunt = campaign.Campaign(_FOLDER, chosen.seed, call, _tell)
    return 0 if hunt.run(chosen.count, chosen.again) >= campaign.GOAL else 1


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
