"""Tell a broker that is not ours to read the revocation list again."""

import os
import signal
import subprocess
from pathlib import Path

from fleet.broker.errors import BrokerError

COMMAND_S = 20


def reload(how: Path | tuple[str, ...]) -> None:
    """SIGHUP to the process of a pid file, or a command; BrokerError of one line when it fails."""
    if isinstance(how, Path):
        _signal(how)
    else:
        _run(how)


def _signal(pid_file: Path) -> None:
    try:
        text = pid_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as e:
        why = getattr(e, "strerror", None) or "no text"
        raise BrokerError(f"cannot read the pid file {pid_file}: {why}") from None
    # 0 and below would mean groups of processes, 1 is the system's own.
    if not text.isdecimal() or len(text) > 9 or int(text) < 2:
        raise BrokerError(f"{pid_file} holds no process id")
    try:
        os.kill(int(text), signal.SIGHUP)
    except OSError as e:
        raise BrokerError(f"process {text} of {pid_file} takes no SIGHUP: {e.strerror}") from None


def _run(command: tuple[str, ...]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, timeout=COMMAND_S, check=False)
    except OSError as e:
        raise BrokerError(f"{command[0]}: {e.strerror}") from None
    except subprocess.TimeoutExpired:
        raise BrokerError(f"{command[0]} did not end within {COMMAND_S} s") from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise BrokerError(f"{command[0]} ended with {done.returncode}: {last[-1][:100]}")
