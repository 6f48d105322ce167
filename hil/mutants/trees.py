"""Copies of the repository in which the firmware may be spoilt: the work tree never is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.errors import Refusal

ROOT = Path(__file__).resolve().parents[2]
_LINKS = (".venv", "typings")  # what is no source, and large


class TreeError(Refusal, RuntimeError):
    """There is no copy to work on; one line."""


class Tree:
    """A copy in `folder`, made anew. Tests that run in it see its firmware and no other. `like`:
    another one, with what was compiled there."""

    def __init__(self, folder: Path, like: "Tree | None" = None) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        if like is not None:
            shutil.copytree(like.folder, folder, symlinks=True)
            return
        for name in _sources():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
        for name in _LINKS:
            if (ROOT / name).exists():
                (folder / name).symlink_to((ROOT / name).resolve())

    @contextmanager
    def changed(self, path: str, text: str) -> Iterator[None]:
        """While this lasts the file at `path`, below the copy's root, holds `text`."""
        file = self.folder / path
        before, times = file.read_bytes(), file.stat()
        file.write_text(text)
        try:
            yield
        finally:
            file.write_bytes(before)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    def environment(self) -> dict[str, str]:
        """For a process in the copy: its modules first, and nothing compiled left behind, since
        two mutants of one size in one second look alike to Python's cache."""
        return {
            **os.environ,
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_CACHE_HOME": str(self.folder / "build" / "cache"),
        }

    def python(self) -> str:
        """The interpreter, by the name under which the VM's command lies beside it."""
        return sys.executable


def _sources() -> list[str]:
    # What is tracked, and what is new and not ignored.
    try:
        told = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        raise TreeError(f"{ROOT} is no git work tree: mutants need the sources") from None
    names = [name.decode() for name in told.split(b"\0") if name]
    return [name for name in names if (ROOT / name).is_file() or (ROOT / name).is_symlink()]
