"""What keeps a board from being flashed, from the outside in: tools, port, access, loader."""

import grp
import importlib.util
import os
import stat
import time
from importlib import metadata
from typing import NamedTuple

from fleet.flashing.board_session import BoardSession
from fleet.flashing.errors import FlashError, NoLoader
from fleet.flashing.first_boot import Watcher
from fleet.flashing.holders import holders
from fleet.flashing.ports import Port
from fleet.flashing.udev import installed
from fleet.whoami import user_name

TOOLS = ("esptool", "mpremote")
LISTEN = 2.0  # seconds of console after a reset


class Finding(NamedTuple):
    """One thing that was looked at; `text` says what is wrong and what to do where not `ok`."""

    what: str
    ok: bool
    text: str


def tools() -> list[Finding]:
    """The programs that flashing starts."""
    found = []
    for name in TOOLS:
        if importlib.util.find_spec(name) is None:
            text = f"missing: python -m pip install {name}, into the environment of kapok"
            found.append(Finding(name, False, text))
        else:
            found.append(Finding(name, True, metadata.version(name)))
    return found


def rule() -> Finding:
    """The udev rule; without it ports need the group dialout, and ModemManager may disturb."""
    if installed():
        return Finding("udev rule", True, "installed")
    return Finding("udev rule", True, "not installed: kapok doctor --install-udev installs it")


def access(device: str, user: str, groups: set[int], root: bool) -> Finding:
    """Whether a user with these groups may open the device; why not, and what to do."""
    try:
        status = os.stat(device)
    except FileNotFoundError:
        text = f"{device} is not there: plugged in? a charge-only cable? dmesg tells what came"
        return Finding("port", False, text)
    except OSError as e:
        return Finding("port", False, f"{device} cannot be looked at: {e.strerror}")
    if not stat.S_ISCHR(status.st_mode):
        return Finding("port", False, f"{device} is no serial port")
    mode = status.st_mode
    allowed = (
        root
        or (status.st_uid == os.getuid() and mode & 0o600 == 0o600)
        or (status.st_gid in groups and mode & 0o060 == 0o060)
        or mode & 0o006 == 0o006
        or os.access(device, os.R_OK | os.W_OK)
    )
    if allowed:
        return Finding("access", True, f"{user} may open {device}")
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    text = (
        f"denied: {device} belongs to group {group}, and {user} is not in it:"
        f" sudo usermod -aG {group} {user} and log in again, or kapok doctor --install-udev"
    )
    return Finding("access", False, text)


def free(port: Port) -> Finding:
    """Whether another process has the port."""
    others = holders(port.device)
    if not others:
        return Finding("free", True, "nobody else has it open")
    hint = ": sudo systemctl stop ModemManager" if others[0].name == "ModemManager" else ""
    text = f"busy: {', '.join(map(str, others))} has it open: end that first{hint}"
    return Finding("free", False, text)


def _console(session: BoardSession) -> Watcher:
    """What the board says after a reset into its application."""
    watcher = Watcher()
    with session.console() as console:
        session.reset(console)
        end = time.monotonic() + LISTEN
        while time.monotonic() < end and not watcher.boot_mode:
            watcher.feed(console.read(4096))
    return watcher


def loader(port: Port) -> list[Finding]:
    """Whether the board enters its ROM loader; what keeps it from that, by what it says."""
    try:
        with BoardSession(port) as session:
            try:
                board = session.identify()
            except NoLoader as e:
                return [Finding("loader", False, _why_not(str(e), _console(session)))]
    except (FlashError, OSError) as e:
        return [Finding("loader", False, str(e))]
    facts = f"{board.chip}, {board.flash_bytes >> 20} MiB, node {board.node_id}"
    locked = board.security.encrypted or board.security.secure_boot
    return [
        Finding("loader", True, facts),
        Finding("security", not locked, str(board.security)),
    ]


def _why_not(error: str, console: Watcher) -> str:
    if console.boot_mode:
        return (
            f"it resets, but boots its application (boot mode {console.boot_mode}): the BOOT strap"
            " (GPIO0, GPIO9 on C3) is not low when EN rises: hold BOOT while it resets; a"
            " board that needs it each time lacks the capacitor at EN (1 to 10 uF)"
        )
    if console.log:
        return (
            "it prints, but does not reset when told to: EN is not wired to the adapter's RTS:"
            " hold BOOT, press EN, run again"
        )
    if "does not hear us" in error:
        return "it is in its loader and hears nothing: the line to its RX is broken or crossed"
    return (
        "nothing comes from it: supply, a charge-only cable, TX and RX crossed, or EN held low;"
        " try another cable first"
    )


def check_port(port: Port) -> list[Finding]:
    """Everything about one port, until something fails that hides the rest."""
    first = access(port.device, user_name(), set(os.getgroups()), os.geteuid() == 0)
    if not first.ok:
        return [first]
    second = free(port)
    if not second.ok:
        return [first, second]
    return [first, second, *loader(port)]
