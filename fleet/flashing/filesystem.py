"""The node's file system as an image: littlefs, as MicroPython on the chip mounts it."""

from collections.abc import Mapping
from pathlib import Path

from littlefs import LittleFS

from fleet.flashing.partitions import BLOCK


def littlefs_image(size: int, files: Mapping[str, bytes]) -> bytes:
    """A littlefs of `size` bytes with these files (and their folders), as the VM mounts it."""
    fs = LittleFS(
        block_size=BLOCK,
        block_count=size // BLOCK,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
        name_max=255,
        disk_version=0x00020001,
    )
    for name, data in sorted(files.items()):
        folder = str(Path(name).parent)
        if folder != "/":
            fs.makedirs(folder, exist_ok=True)
        with fs.open(name, "wb") as file:
            file.write(data)
    return bytes(fs.context.buffer)
