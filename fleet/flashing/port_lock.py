"""One process a port: a lock file that names its holder, and where our own state lies."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.flashing.errors import PortBusy
from fleet.flashing.ports import Port


def state_folder() -> Path:
    """Where flashing keeps its state, whatever the data folder: $XDG_STATE_HOME/kapok."""
    base = os.environ.get("XDG_STATE_HOME")
    folder = (Path(base) if base else Path.home() / ".local" / "state") / "kapok"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@contextmanager
def locked(port: Port) -> Iterator[None]:
    """Hold the port; PortBusy with the process that has it."""
    folder = state_folder() / "locks"
    folder.mkdir(exist_ok=True)
    # By what is opened, so that two names of one port are one lock.
    name = hashlib.sha256(os.path.realpath(port.path).encode()).hexdigest()[:16]
    descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise PortBusy(
                f"{port.name}: another kapok works on this port (process {holder}):"
                " wait for it, or end it"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
