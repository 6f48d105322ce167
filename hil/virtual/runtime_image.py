"""A stand-in for a MicroPython runtime image: its structure is right, its code is noise."""

import functools
import random

from fleet.flashing import espimage, partitions
from fleet.flashing.chips import CHIPS
from fleet.flashing.espimage import Description, Segment
from fleet.flashing.partitions import Partition

APP_OFFSET = 0x10000
APP_BYTES = 1_540_000  # MicroPython's OTA builds are made to fit 1.5 MiB
VERSION = "1.28.0"  # of the usual stand-in, which the VM plays as what it is; of others it
# takes the name, since its own is nothing that a node could be updated to
CRASHES = b"\0kapok: crashes at its start\0"  # what the virtual board knows such an image by
_STOCK = [  # the table of such a release; ours replaces it
    Partition("nvs", 1, 2, 0x9000, 0x6000),
    Partition("phy_init", 1, 1, 0xF000, 0x1000),
    Partition("factory", 0, 0, 0x10000, 0x1F0000),
]
# Where constants, data, code and the entry point are mapped: the chips' technical references.
_MAP = {
    "esp32": (0x3F400020, 0x3FFB0000, 0x400D0020, 0x40081000),
    "esp32s3": (0x3C000020, 0x3FC88000, 0x42000020, 0x40374000),
    "esp32c3": (0x3C000020, 0x3FC80000, 0x42000020, 0x40380000),
}
_SYMBOLS = 30  # so many different bytes, evenly: zlib leaves 62 %, as of Xtensa code


def _noise(seed: str, size: int) -> bytes:
    return random.Random(seed).randbytes(size).translate(bytes(n % _SYMBOLS for n in range(256)))


def app(
    chip: str,
    version: str = VERSION,
    *,
    project: str = "micropython",
    size: int = APP_BYTES,
    crashes: bool = False,
) -> bytes:
    """The application image alone, of about `size` bytes. `crashes`: at its start."""
    banner = f"MicroPython v{version} on 2026-01-01; Generic {chip} module with {chip}\0"
    about = espimage.description(Description(project, f"v{version}", "v5.5.1"))
    seed = f"{chip} {version} {project}"
    half = size // 2
    constants, ram, code, entry = _MAP[chip]
    return espimage.build(
        CHIPS[chip].image_id,
        entry,
        [
            Segment(
                constants,
                about + _noise(f"{seed} data", half) + banner.encode() + CRASHES * crashes,
            ),
            Segment(ram, _noise(f"{seed} ram", 16_000)),
            Segment(code, _noise(f"{seed} code", size - half - 16_000)),
        ],
    )


@functools.lru_cache(maxsize=8)
def make(chip: str, version: str = VERSION, *, project: str = "micropython") -> bytes:
    """A combined image as MicroPython's releases are: it starts at the bootloader's offset.

    Bootloader image, partition table at 0x8000 of flash, application at 0x10000. Deterministic.
    """
    facts = CHIPS[chip]
    bootloader = espimage.build(
        facts.image_id,
        0x40080000,
        [Segment(0x3FFF0018, _noise(f"{chip} bootloader", 24_000))],
    )
    out = bootloader.ljust(partitions.TABLE_OFFSET - facts.bootloader_offset, b"\xff")
    out += partitions.encode(_STOCK)
    out = out.ljust(APP_OFFSET - facts.bootloader_offset, b"\xff")
    return out + app(chip, version, project=project)
