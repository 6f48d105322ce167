"""A node's journal, saved from its flash into a file before the flash is overwritten.

A `.kj` file is a tar archive: `node.json` (format, node id, MAC, time) and `journal/*`, the files
of the node's journal as they lay there.
"""

import io
import json
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fleet.flashing.errors import FlashError
from fleet.identity.files import PRIVATE, write_atomic
from fleet.wire import nodeid

FORMAT = 1
FOLDER = "journal"
MOST_FILES = 1024
MOST_BYTES = 16 * 1024 * 1024  # the largest flash


class JournalFileError(FlashError):
    """Not a journal file; the text says why."""


class Saved(NamedTuple):
    """A journal file's content: the node's id, seconds since 1970 UTC, files by name."""

    node_id: str
    saved_at: int
    files: dict[str, bytes]


def _add(archive: tarfile.TarFile, name: str, data: bytes, at: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(data), at, PRIVATE
    archive.addfile(member, io.BytesIO(data))


def save(folder: Path, mac: bytes, files: Mapping[str, bytes]) -> Path:
    """Write `journal-<node id>-<time>.kj` into the folder; its path."""
    at = int(time.time())
    node_id = nodeid.from_mac(mac)
    facts = {"format": FORMAT, "node_id": node_id, "mac": mac.hex(), "saved_at": at}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, "node.json", json.dumps(facts).encode(), at)
        for name, data in sorted(files.items()):
            _add(archive, f"{FOLDER}/{name}", data, at)
    folder.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    path = folder / f"journal-{node_id}-{stamp}.kj"
    write_atomic(path, packed.getvalue(), PRIVATE)
    return path


def load(path: Path) -> Saved:
    """Read a journal file; JournalFileError where it is none. Nothing is unpacked to disk."""
    files: dict[str, bytes] = {}
    facts: object = None
    try:
        if path.stat().st_size > MOST_BYTES:
            raise JournalFileError(f"{path}: too large for a journal")
        with tarfile.open(path, mode="r:") as archive:
            for count, member in enumerate(archive):
                if count > MOST_FILES or not member.isreg():
                    raise JournalFileError(f"{path}: not a journal: {member.name!r}")
                source = archive.extractfile(member)
                data = source.read() if source else b""
                folder, _, name = member.name.rpartition("/")
                if member.name == "node.json" and facts is None:
                    facts = json.loads(data)
                elif folder == FOLDER and name not in ("", ".", "..") and name not in files:
                    files[name] = data
                else:
                    raise JournalFileError(f"{path}: not a journal: {member.name!r}")
        if not isinstance(facts, dict) or facts["format"] != FORMAT:
            raise JournalFileError(f"{path}: not a journal of format {FORMAT}")
        nodeid.to_mac(facts["node_id"])
        return Saved(facts["node_id"], int(facts["saved_at"]), files)
    except OSError as e:
        raise JournalFileError(f"{path}: cannot be read: {e.strerror or e}") from None
    except (tarfile.TarError, ValueError, KeyError, TypeError, AttributeError, EOFError) as e:
        raise JournalFileError(f"{path}: not a journal: {e}") from None
