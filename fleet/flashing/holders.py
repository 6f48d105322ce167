"""Who has a device open: from /proc, as far as this user may look."""

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Holder(NamedTuple):
    """A process and its name."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def holders(device: str, proc: Path = PROC) -> list[Holder]:
    """Processes other than this one with `device` open, by process id."""
    wanted = os.path.realpath(device)
    found = []
    for folder in proc.iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            links = [os.readlink(link) for link in (folder / "fd").iterdir()]
            name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # another user's, or gone
            continue
        if wanted in links:
            found.append(Holder(int(folder.name), name))
    return sorted(found)
