"""Installs the udev rule that ships with the package."""

import shutil
import subprocess
from pathlib import Path

from fleet.flashing.errors import FlashError
from fleet.identity.files import PUBLIC, write_atomic
from fleet.paths import udev_rule

RULES = Path("/etc/udev/rules.d")
DEADLINE = 20.0  # seconds for udevadm


class UdevError(FlashError):
    """The rule cannot be installed; the text says what to do."""


def installed(folder: Path = RULES) -> bool:
    """Whether this very rule lies there."""
    try:
        return (folder / udev_rule().name).read_bytes() == udev_rule().read_bytes()
    except OSError:
        return False


def install(folder: Path = RULES) -> list[str]:
    """Copy the rule and make udev heed it; what was done, a line each. UdevError where not."""
    source, target = udev_rule(), folder / udev_rule().name
    done = []
    try:
        if installed(folder):
            done.append(f"{target} is there already, the same")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(target, source.read_bytes(), PUBLIC)
            done.append(f"wrote {target}")
    except PermissionError:
        raise UdevError(
            f"{target} needs root: sudo env PATH=$PATH kapok doctor --install-udev"
        ) from None
    except OSError as e:
        raise UdevError(f"{target} cannot be written: {e.strerror}") from None
    tool = shutil.which("udevadm")
    if tool is None:
        return [*done, "udevadm is not there: the rule counts from the next start of udev"]
    for arguments in (["control", "--reload"], ["trigger", "--subsystem-match=tty"]):
        try:
            run = subprocess.run(
                [tool, *arguments], capture_output=True, text=True, timeout=DEADLINE, check=False
            )
        except subprocess.TimeoutExpired:
            return [*done, f"udevadm {arguments[0]} does not end: plug the boards in again"]
        if run.returncode:
            reason = " ".join(run.stderr.split()) or f"exit code {run.returncode}"
            return [*done, f"udevadm {arguments[0]}: {reason}: plug the boards in again"]
    return [*done, "udev has read it, and looked at the ports again"]
