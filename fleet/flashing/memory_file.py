"""Files that lie in memory only: what goes to a tool, and back, may be a private key."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def memory_file(data: bytes = b"") -> Iterator[int]:
    """A descriptor of a file that has never been on a disk; it is wiped at the end."""
    descriptor = os.memfd_create("kapok", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
        os.close(descriptor)


def path_of(descriptor: int) -> str:
    """By what a process that inherits the descriptor opens the file."""
    return f"/proc/self/fd/{descriptor}"


def content(descriptor: int) -> bytes:
    """All that the file holds."""
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return file.read()
