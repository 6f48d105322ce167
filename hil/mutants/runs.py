"""Tests in a copy of the repository, until the first that fails: what became of them."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

from fleet.errors import Refusal
from hil.mutants.trees import Tree

_OK, _FAILED, _COLLECTION, _NONE = 0, 1, 2, 5  # pytest's exit codes
PASSED = (_OK, _NONE)
_FIRST = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.M)

Kind = Literal["caught", "survived", "timeout"]


class RunError(Refusal, RuntimeError):
    """The tests could not be run at all; one line."""


class Outcome(NamedTuple):
    """`by`: the test that failed first, or what else ended the run. A time-out is a catch."""

    kind: Kind
    by: str
    seconds: float

    @property
    def caught(self) -> bool:
        """Whether anything noticed."""
        return self.kind != "survived"


def first_failure(output: str) -> str:
    """The test that pytest's summary names first; "" where it names none."""
    found = _FIRST.search(output)
    return found[1] if found else ""


def run(tree: Tree, arguments: Sequence[str], limit_s: float) -> Outcome:
    """pytest with these arguments in the copy, stopped at the first failure."""
    command = [tree.python(), "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=tree.folder,
        env=tree.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # so that what the tests started ends with them
    )
    try:
        output = process.communicate(timeout=limit_s)[0]
    except subprocess.TimeoutExpired:
        _end(process)
        return Outcome("timeout", f"more than {limit_s:.0f} s", time.monotonic() - began)
    except BaseException:
        _end(process)
        raise
    seconds = time.monotonic() - began
    if process.returncode in PASSED:
        return Outcome("survived", "", seconds)
    if process.returncode in (_FAILED, _COLLECTION):
        return Outcome("caught", first_failure(output) or "pytest", seconds)
    last = (output.strip().splitlines() or ["nothing"])[-1]
    raise RunError(f"pytest ended with {process.returncode}: {last}")


def _end(process: subprocess.Popen[str]) -> None:
    # Only what was started here: the group is this process' own.
    with contextlib.suppress(ProcessLookupError):  # it may just have ended
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
