"""A warm worker in a copy of the repository: what others wrote is imported once, and each run of
tests is a fork of it, so that a mutant costs its tests and not pytest's start.
"""

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from hil.mutants import runs
from hil.mutants.runs import Outcome, RunError
from hil.mutants.trees import Tree

RIG = "hil/rigs/virtual.yaml"
_START_S = 300.0
_MEMORY = 6 << 30  # bytes of address space: a list that grows for ever ends as a MemoryError


class Warm:
    """One worker; `modules` are what it imports ahead, `tests` the files that it compiles ahead.
    Ended by `close`, or with its creator."""

    def __init__(self, tree: Tree, modules: Sequence[str], tests: Sequence[str]) -> None:
        self._tree = tree
        self._process = subprocess.Popen(
            [tree.python(), "-m", "hil.mutants.warm"],
            cwd=tree.folder,
            env=tree.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._ask({"modules": list(modules), "compile": list(tests)}, _START_S)

    def run(self, tests: Sequence[str], limit_s: float) -> Outcome:
        """These tests (node ids, in this order; or files) until the first that fails."""
        told = self._ask({"tests": list(tests), "limit": limit_s}, limit_s + _START_S)
        return Outcome(told["kind"], told["by"], told["seconds"])

    def close(self) -> None:
        """End it, and what it runs."""
        self._process.terminate()
        self._process.wait()

    def _ask(self, question: dict[str, Any], limit_s: float) -> dict[str, Any]:
        sender, receiver = self._process.stdin, self._process.stdout
        assert sender is not None and receiver is not None  # noqa: PT018, S101  pipes, as above
        with contextlib.suppress(BrokenPipeError):
            sender.write(json.dumps(question) + "\n")
            sender.flush()
        ready, _, _ = select.select([receiver], [], [], limit_s)
        line = receiver.readline() if ready else ""
        if not line:
            self.close()
            raise RunError("the warm worker of the mutants does not answer")
        told: dict[str, Any] = json.loads(line)
        return told


# Within the worker


def main() -> None:
    """Answer questions until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what tests print is no answer
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for line in sys.stdin:
        asked = json.loads(line)
        told = _judged(asked["tests"], asked["limit"]) if "tests" in asked else _warmed(asked)
        answers.write(json.dumps(told) + "\n")
        answers.flush()


def _warmed(asked: dict[str, Any]) -> dict[str, Any]:
    import importlib

    for name in ["pytest", *asked["modules"]]:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    early = [
        name
        for name, module in sorted(sys.modules.items())
        if "/firmware/" in os.path.realpath(getattr(module, "__file__", None) or "")
    ]
    if early:  # a mutant would never be loaded
        raise SystemExit(f"the warm worker has {early[0]} before any mutant")
    if not asked["compile"]:
        return {"kind": "warm"}
    sys.dont_write_bytecode = False  # of the sources as they are: a mutant has a younger file
    told = _judged([*asked["compile"], "--collect-only"], _START_S)
    sys.dont_write_bytecode = True
    return told


def _judged(tests: list[str], limit_s: float) -> dict[str, Any]:
    folder = tempfile.mkdtemp(prefix="kmut")
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _run(tests, folder)
    try:
        code = _waited(child, began + limit_s)
    finally:
        with contextlib.suppress(ProcessLookupError):  # nothing of it is left
            os.killpg(child, signal.SIGKILL)
    seconds = time.monotonic() - began
    with open(f"{folder}/out", errors="replace") as file:
        kind, by = _verdict(code, file.read(), limit_s)
    shutil.rmtree(folder, ignore_errors=True)
    return {"kind": kind, "by": by, "seconds": seconds}


def _waited(child: int, until: float) -> int | None:
    # pytest's exit code; None where it took too long; less than 0 where a signal ended it.
    handle = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([handle], [], [], max(0.0, until - time.monotonic()))
    except BaseException:
        os.killpg(child, signal.SIGKILL)
        raise
    finally:
        os.close(handle)
    if not ready:
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if ready else None


def _verdict(code: int | None, output: str, limit_s: float) -> tuple[str, str]:
    if code is None:
        return "timeout", f"more than {limit_s:.0f} s"
    if code in runs.PASSED:
        return "survived", ""
    last = (output.strip().splitlines() or ["nothing"])[-1]
    return "caught", runs.first_failure(output) or f"pytest ended with {code}: {last}"


def _run(tests: list[str], folder: str) -> None:
    # In the child, which never returns.
    os.setsid()
    out = os.open(f"{folder}/out", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    code = 3
    try:
        import pytest
        from hypothesis.configuration import set_hypothesis_home_dir

        from hil.mutants.order import Order

        set_hypothesis_home_dir(f"{folder}/h")  # what one mutant taught is no help with the next
        files = dict.fromkeys(test.partition("::")[0] for test in tests)
        code = pytest.main(
            [
                *("-x", "-q", "--tb=line", "-n", "0", "-p", "no:cacheprovider"),
                *("--hypothesis-seed=0", f"--basetemp={folder}/t", *files),
                *(("--rig", RIG) if any(file.startswith("hil/") for file in files) else ()),
            ],
            plugins=[Order(tests)],
        )
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
