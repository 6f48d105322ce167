"""For which nodes an image is: their role, their board, and by that their modem."""

import hashlib
import tomllib
import uuid
from pathlib import Path
from typing import NamedTuple

from fleet import schema
from fleet.flashing import hardware, profiles
from fleet.paths import hw_dir
from fleet.releases import closure, slots
from fleet.wire import cbor

RELEASE = "release"  # a file of the image: strict CBOR [sequence, role, board]
DEVELOPMENT = 0  # the sequence of what was not built as a release
# Only a role that has a line with sub-devices reads their profiles.
_READS_PROFILES = "node/sense/subdevice.py"
# RFC 9124 3.3 and 3.4: version 5 UUIDs, of the vendor's name and, within that, of the class.
VENDOR = uuid.uuid5(uuid.NAMESPACE_DNS, "kapok")


class Target(NamedTuple):
    """`role` of firmware/node/schema and `board` of hw/boards; "": any."""

    role: str = ""
    board: str = ""

    @property
    def product(self) -> bytes:
        """The class of devices as a manifest names it, 16 bytes."""
        return uuid.uuid5(VENDOR, f"{self.role}/{self.board}").bytes


def check(target: Target) -> Target:
    """The target, if there are such a role and such a board; a refusal of one line."""
    if target.role and target.role not in schema.ROLES:
        known = ", ".join(schema.ROLES)
        raise closure.UnknownRole(f"no role {target.role[:40]!r}: known are {known}")
    if target.board:
        hardware.load_board(target.board)
    return target


def families(target: Target) -> tuple[str, ...]:
    """The modem families that nodes of the target may have; (): any of them."""
    if not target.board:
        return ()
    modem = hardware.load_board(target.board).modem
    if modem is not None:
        return (modem,)
    # The board has a socket for any: what node types of it say.
    found = set()
    for path in sorted((hw_dir() / "nodes").glob("*.toml")):
        node_type = tomllib.loads(path.read_text(encoding="utf-8"))
        fits = target.role in ("", node_type.get("role"))
        if node_type.get("board") == target.board and fits and node_type.get("modem"):
            found.add(str(node_type["modem"]))
    return tuple(sorted(found))


def sources(firmware: Path, target: Target, script: str = "") -> dict[str, str]:
    """The modules of the target's image by path. BuildError, or a refusal of `check`."""
    return slots.needed(
        slots.read_sources(firmware), slots.outsiders(firmware, script), _choice(target),
        schema.ROLES,
    )  # fmt: skip


def _choice(target: Target) -> closure.Choice:
    return closure.Choice(check(target).role, families(target))


def image(
    firmware: Path, out: Path, target: Target, sequence: int = DEVELOPMENT, script: str = ""
) -> bytes:
    """The slot's image for the target, as boot.py takes it; `out` and `script` as in
    `slots.build`. The same sources give the same bytes, wherever and whenever it is built.
    """
    modules = slots.chosen(firmware, out, _choice(target), schema.ROLES, script)
    data = {RELEASE: cbor.encode([sequence, target.role, target.board])}
    if _READS_PROFILES in modules.sources:
        data |= profiles.library()
    return slots.slot_image({**modules.files, **data})


def image_digest(data: bytes) -> bytes:
    """SHA-256 of an image as it says it of itself: by this a node tells which one it runs."""
    at = data.index(slots.DIGEST.encode()) + len(slots.DIGEST) + 2
    return data[at : at + hashlib.sha256().digest_size]
