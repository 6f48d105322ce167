"""A cache of one's own in which the firmware lies compiled: nothing of it is a secret."""

import shutil
from pathlib import Path

from fleet.flashing import built
from fleet.paths import firmware_dir
from fleet.releases import slots
from fleet.releases.target import Target


def warm(cache_home: Path, wanted: Target) -> None:
    """Give the folder that is to be XDG_CACHE_HOME what this user's cache has of an image."""
    built.build(firmware_dir(), wanted)
    cache = slots.cache_dir()
    for path in cache.glob("*/*.kept"):
        into = cache_home / "kapok" / path.relative_to(cache)
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, into)
