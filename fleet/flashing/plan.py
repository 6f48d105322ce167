"""What is to lie in a board's flash, cut into pieces that are compared and written one by one."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from fleet.flashing.board_session import Piece
from fleet.flashing.partitions import BLOCK

# Bytes of a piece. Small enough that a changed file costs little, large enough that compressing
# each for itself costs under 2 % (the window of deflate is half of it).
PIECE = 16 * BLOCK
NEVER = "nvs"  # holds who the node is: flashing leaves it


class Region(Protocol):
    """As layout.Region: `data` for `offset` in flash."""

    @property
    def name(self) -> str: ...
    @property
    def offset(self) -> int: ...
    @property
    def data(self) -> bytes: ...


class Plan(NamedTuple):
    """Regions in the order of writing, as pieces in files that all boards of a run share.

    `digest` names the whole content, to know a board that has it already.
    """

    regions: tuple[str, ...]
    pieces: tuple[Piece, ...]
    digest: str

    @property
    def size(self) -> int:
        """Bytes of flash."""
        return sum(piece.size for piece in self.pieces)


def make(regions: Iterable[Region], folder: Path) -> Plan:
    """Cut the regions into files in `folder`, at multiples of PIECE in flash."""
    pieces: list[Piece] = []
    names: list[str] = []
    digest = hashlib.sha256()
    for region in regions:
        if region.name == NEVER:
            raise ValueError("NVS is never part of a plan")
        names.append(region.name)
        digest.update(f"{region.name}@{region.offset}+{len(region.data)}:".encode())
        digest.update(region.data)
        at = 0
        while at < len(region.data):
            size = PIECE - (region.offset + at) % PIECE
            data = region.data[at : at + size]
            path = folder / f"{region.offset + at:08x}-{region.name}.bin"
            path.write_bytes(data)
            pieces.append(Piece(region.name, region.offset + at, str(path), len(data)))
            at += len(data)
    return Plan(tuple(names), tuple(pieces), digest.hexdigest())
