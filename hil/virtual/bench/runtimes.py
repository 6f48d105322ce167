"""Images to flash: what stands for MicroPython's releases on a bench where there is no network."""

from collections.abc import Iterable
from pathlib import Path

from fleet.identity.files import PUBLIC, write_atomic


def write(folder: Path, chips: Iterable[str]) -> list[Path]:
    """`runtime-<chip>.bin` in `folder`, one for each chip, where it is not there yet."""
    from hil.virtual import runtime_image

    paths = []
    for chip in sorted(set(chips)):
        path = folder / f"runtime-{chip}.bin"
        if not path.exists():
            write_atomic(path, runtime_image.make(chip), PUBLIC)
        paths.append(path)
    return paths
