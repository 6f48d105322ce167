"""Runtime images that this user has added, by chip, version and kind; damage is found on use."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fleet.flashing import runtime
from fleet.flashing.runtime import Runtime, RuntimeImageError
from fleet.identity.files import PUBLIC, write_atomic
from fleet.releases.slots import cache_dir

# The name tells the contents' digest, so that name and contents change in one step.
_NAME = re.compile(
    r"(?P<chip>[a-z0-9]+)-(?P<version>\d+\.\d+\.\d+)-(?P<kind>stock|kapok)"
    r"-(?P<digest>[0-9a-f]{64})\.bin\Z"
)


class Cached(NamedTuple):
    """A file of the cache by its name; `damaged` says what is wrong with its contents, or ""."""

    path: Path
    chip: str
    version: tuple[int, ...]
    hardened: bool
    digest: str
    damaged: str
    size: int


def folder() -> Path:
    """Where the images are."""
    return cache_dir() / "runtime"


def add(path: Path) -> tuple[Runtime, Path]:
    """Check the image and keep a copy in place of the one of its chip, version and kind."""
    found = runtime.load(path)
    kind = "kapok" if found.hardened else "stock"
    stem = f"{found.chip}-{found.version_text}-{kind}"
    folder().mkdir(parents=True, exist_ok=True)
    target = folder() / f"{stem}-{found.digest}.bin"
    write_atomic(target, path.read_bytes(), PUBLIC)
    for other in folder().glob(f"{stem}-*.bin"):
        if other != target:
            other.unlink(missing_ok=True)
    return found, target


def _names() -> Iterator[tuple[Path, re.Match[str]]]:
    for path in sorted(folder().glob("*.bin")):
        if match := _NAME.match(path.name):
            yield path, match


def entries() -> list[Cached]:
    """All of the cache, each read and checked."""
    found = []
    for path, match in _names():
        damaged = ""
        try:
            if runtime.load(path).digest != match["digest"]:
                damaged = "its contents are not those that were added"
        except RuntimeImageError as e:
            damaged = str(e).removeprefix(f"{path}: ")
        size = path.stat().st_size if path.exists() else 0
        kind = match["kind"] == "kapok"
        found.append(
            Cached(path, match["chip"], _version(match), kind, match["digest"], damaged, size)
        )
    return found


def best(chip: str) -> Runtime:
    """The cached image for this chip: a hardened one before a stock one, then the newest.

    RuntimeImageError when there is none, or the one that would be taken is damaged.
    """
    mine = [(match["kind"] == "kapok", _version(match), path, match) for path, match in _names()
            if match["chip"] == chip]  # fmt: skip
    if not mine:
        raise RuntimeImageError(
            f"no runtime image for {chip} is cached: kapok runtime add FILE takes one in"
        )
    path, match = max(mine, key=lambda each: each[:2])[2:]
    again = f"kapok runtime add FILE takes it in again ({path})"
    try:
        found = runtime.load(path)
    except RuntimeImageError as e:
        text = str(e).removeprefix(f"{path}: ")
        raise RuntimeImageError(f"the cached runtime image is damaged: {text}; {again}") from None
    if found.digest != match["digest"]:
        raise RuntimeImageError(f"the cached runtime image is not what was added: {again}")
    return found


def _version(match: re.Match[str]) -> tuple[int, ...]:
    return tuple(int(part) for part in match["version"].split("."))
