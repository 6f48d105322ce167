"""A bench's folder: one process at a time, and what is told to others there."""

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fleet.errors import Refusal
from fleet.identity.files import PUBLIC, write_atomic
from hil.virtual.bench.spec import Spec, SpecError, saved

LOCK, BOARDS, RUN = "bench.lock", "boards.json", "bench.json"


class BenchError(Refusal, RuntimeError):
    """The bench cannot run, or there is none; the text is one line."""


class Folder:
    """Held from `hold` to `let_go`; the lock ends with the process, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1

    def hold(self) -> None:
        """BenchError where another process runs a bench here."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)  # flash may hold a node's keys
        self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PUBLIC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = -1
            raise BenchError(
                f"a bench runs on {self.path} already: end it, or give --folder another"
            ) from None

    def let_go(self) -> None:
        """Nobody runs it any more."""
        (self.path / RUN).unlink(missing_ok=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def specs(self) -> list[Spec]:
        """The boards that stood here before; none on a new bench."""
        try:
            raw = (self.path / BOARDS).read_text()
        except FileNotFoundError:
            return []
        try:
            return saved(json.loads(raw))
        except (ValueError, SpecError):
            raise BenchError(f"{self.path / BOARDS} is damaged: delete the folder") from None

    def remember(self, specs: Sequence[Spec]) -> None:
        """These stand here from now on."""
        text = json.dumps([spec.as_json() for spec in specs], indent=1)
        write_atomic(self.path / BOARDS, text.encode(), PUBLIC)

    def tell(self, run: dict[str, Any]) -> None:
        """How others find the boards, `bench.json`."""
        write_atomic(self.path / RUN, json.dumps(run, indent=1).encode(), PUBLIC)


def running(path: Path) -> dict[str, Any]:
    """What `bench.json` tells; BenchError where no bench runs."""
    try:
        found = json.loads((path / RUN).read_text())
        os.kill(int(found["pid"]), 0)
        if not {"control", "boards"} <= found.keys():
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        raise BenchError(f"no bench runs on {path}: start one by kapok bench") from None
    return dict(found)
