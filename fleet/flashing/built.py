"""The node's files from the firmware's sources."""

from pathlib import Path
from typing import NamedTuple

from fleet.releases import rescue, slots, target
from fleet.releases.target import Target


class Built(NamedTuple):
    """Files by path: of the `vfs` partition, and of the rescue partition."""

    files: dict[str, bytes]
    rescue: dict[str, bytes]


def build(firmware: Path, wanted: Target) -> Built:
    """Build the slot of this role and board, or take what an earlier run built from the very
    same; BuildError.
    """
    folder = slots.cache_dir() / "node"
    files = {
        **slots.supervisor_files(firmware),
        slots.FILE: target.image(firmware, folder, wanted),
    }
    return Built(files, rescue.build(firmware, folder))
