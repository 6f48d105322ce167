"""Who may use what stands at a place: file locks on this machine, one for each of its ports."""

import fcntl
import json
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from fleet.flashing import ports
from fleet.flashing.errors import FlashError
from hil.faults import RigFault
from hil.inventory import Rig, resources

WAIT_S = 3600.0  # for a place that somebody else's run holds
LOOK_S = 0.2
EVERYBODYS = (Path("/run/lock"), Path("/tmp"))  # noqa: S108  all users' of a machine
_NAME_MOST = 200  # characters; a file's name has 255 bytes


class Lock(NamedTuple):
    """A place, and the descriptors of its locks."""

    name: str
    files: tuple[int, ...]


def identities(rig: Rig, name: str) -> list[str]:
    """What a place is made of, however its file is called and whoever runs it: serial numbers,
    ports and sockets as the file has them, and where those that are plugged are.
    """
    where = f"{rig.path}: {name}"
    found: set[str] = set()
    plugged: list[ports.Port] = []
    with suppress(FlashError):
        plugged = ports.usb_ports()
    for _, arguments in resources(rig.environment.config.get_targets()[name], where):
        found |= _of_resource(arguments, plugged)
    return sorted(found) or [f"{rig.path.resolve()} {name}"]


def _of_resource(arguments: Mapping[str, Any], plugged: list[ports.Port]) -> set[str]:
    found = {str(arguments[key]) for key in ("serial", "port") if arguments.get(key)}
    real = {os.path.realpath(each) for each in found if each.startswith("/")}
    for port in plugged:
        names = {port.name, port.device, port.by_path, port.serial_number}
        if found & names or os.path.realpath(port.device) in real:
            found.add(port.name)
    if "match" in arguments:
        socket = {key: arguments.get(key) for key in ("match", "index")}
        found.add(json.dumps(socket, sort_keys=True, default=str))
    return found


class FileLocks:
    """Of a rig whose places are at this machine, against all its users and all files that name
    the same ports. A lock ends with its process, however it ends.
    """

    def __init__(self, rig: Rig, folder: Path | None = None) -> None:
        self._rig = rig
        self._folder = folder or _everybodys() / "kapok-rig"
        with suppress(FileExistsError):
            self._folder.mkdir()
            self._folder.chmod(0o1777)  # whatever the umask
        if not stat.S_ISDIR(self._folder.lstat().st_mode):
            raise RigFault(f"{self._folder}: locks of places go there, and it is no folder")

    def hold(self, name: str, wait_s: float = WAIT_S) -> Lock:
        """The place of that name; RigFault names who holds it."""
        end = time.monotonic() + wait_s
        files: list[int] = []
        try:
            # In one order, so that no two wait for each other.
            for identity in identities(self._rig, name):
                files.append(self._lock(name, identity, end, wait_s))
        except BaseException:
            self.let_go(Lock(name, tuple(files)))
            raise
        return Lock(name, tuple(files))

    def _lock(self, name: str, identity: str, end: float, wait_s: float) -> int:
        path = self._folder / f"{quote(identity, safe='')[-_NAME_MOST:]}.lock"
        file = _opened(path)
        try:
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() >= end:
                    holder = os.pread(file, 20, 0).decode(errors="replace").strip()
                    raise RigFault(
                        f"{name}: process {holder} holds this place ({identity}), "
                        f"{wait_s:.0f} s were waited"
                    )
                time.sleep(LOOK_S)
            os.ftruncate(file, 0)
            os.pwrite(file, b"%d\n" % os.getpid(), 0)
        except BaseException:
            os.close(file)
            raise
        return file

    def let_go(self, held: Lock) -> None:
        """Close them."""
        for file in held.files:
            os.close(file)


def _everybodys() -> Path:
    return next((each for each in EVERYBODYS if os.access(each, os.W_OK)), EVERYBODYS[-1])


def _opened(path: Path) -> int:
    """The file, of whichever user: in a folder of all, Linux refuses O_CREAT on another's
    (fs.protected_regular), and a link there may lead anywhere.
    """
    how = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with suppress(FileExistsError):
            file = os.open(path, how | os.O_CREAT | os.O_EXCL, 0o666)
            os.fchmod(file, 0o666)
            return file
        return os.open(path, how)
    except OSError as e:
        raise RigFault(f"{path}: cannot open this lock of a place: {e.strerror}") from None


class Unshared:
    """Of a rig of virtual boards alone: each worker's are its own; no run waits for another."""

    def hold(self, name: str) -> Lock:
        """At once."""
        return Lock(name, ())

    def let_go(self, held: Lock) -> None:
        """Nothing."""
