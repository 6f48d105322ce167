"""Files that are either whole or absent after a power cut, with their mode from the first byte."""

import os
from pathlib import Path

from fleet.errors import Refusal

PRIVATE = 0o600
PUBLIC = 0o644


class FileThereError(Refusal):
    """A file is there that holds something else, which would be lost."""


def write_atomic(path: Path, data: bytes, mode: int) -> None:
    """Replace `path` by `data`; a reader sees the old bytes or the new, never a part.

    An OSError names the path, also where the system does not, as of a disk that is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    # O_EXCL: the mode holds from the first byte on, and no link of somebody else is followed.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as e:
        temporary.unlink(missing_ok=True)
        if isinstance(e, OSError) and e.filename is None and e.errno is not None:
            raise OSError(e.errno, e.strerror, str(path)) from None
        raise
    sync_folder(path.parent)


def write_new(path: Path, data: bytes, mode: int) -> None:
    """As write_atomic where nothing is; FileThereError where other bytes are."""
    if not path.exists():
        write_atomic(path, data, mode)
    elif path.read_bytes() != data:
        raise FileThereError(f"{path} is there and holds something else: nothing is overwritten")


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
