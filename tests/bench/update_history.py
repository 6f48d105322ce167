"""What the project's own last changes of the firmware would have cost as updates: for each commit
the application before and after it, built by the build of today.
"""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from release_rig import EXPIRY, METER

from fleet.releases import diff, making, slots
from fleet.updates.parts import deflated
from fleet.wire import release


def table(folder: Path, commits: int) -> Iterator[str]:
    """Lines for people; one where there is no history."""
    try:
        found = _git("log", f"-{commits}", "--no-merges", "--format=%h %s", "--", "firmware")
    except (OSError, subprocess.CalledProcessError):
        yield "the last commits: no git history here"
        return
    yield f"the last {commits} commits of firmware/, a gas meter on bc660k: bytes of parts"
    yield f"{'':<60}{'image':>8}{'whole':>8}{'delta':>8}"
    for line in found.splitlines():
        commit = line.partition(" ")[0]
        try:
            old, new = _image(folder, f"{commit}^"), _image(folder, commit)
        except Exception as e:  # a tree that the build of today does not take
            yield f"{line[:58]:<60} cannot be built now: {type(e).__name__}"
            continue
        if old == new:
            yield f"{line[:58]:<60}{len(new):>8}    the same image"
            continue
        patch = deflated(diff._sequential(old, new))
        yield f"{line[:58]:<60}{len(new):>8}{len(deflated(new)):>8}{len(patch):>8}"
    yield ""


def _image(folder: Path, commit: str) -> bytes:
    tree = folder / "history" / _git("rev-parse", "--short", commit).strip()
    if not tree.exists():
        tree.mkdir(parents=True)
        raw = subprocess.run(
            ["git", "archive", commit, "firmware"], check=True, capture_output=True
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
            tar.extractall(tree, filter="data")
    order = making.Order(METER, 1, EXPIRY)
    made = making.make(tree / "firmware", slots.cache_dir() / "node", order)
    return made.components[release.APPLICATION]


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], check=True, capture_output=True, text=True, timeout=60
    ).stdout
