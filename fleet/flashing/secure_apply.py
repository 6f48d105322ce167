"""Burn a plan, step by step, each read back before the next; whatever cuts it, it goes on.

What is done is told by the eFuses alone. The log, without secrets, tells one thing more: that a
flash key which can be read yet is ours, because its burning was begun here.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from fleet.flashing.efuse_tool import EfuseTool, new_key
from fleet.flashing.efuses import Fuses, SecureError
from fleet.flashing.secure_plan import standings
from fleet.flashing.secure_steps import BootStep, BurnStep, FlashKeyStep, State, Step

Tell = Callable[[str], None]


class Log(NamedTuple):
    """A file with a line of JSON for each event of one board; each is on disk before the burn."""

    path: Path
    node_id: str

    def note(self, event: str, step: str) -> None:
        """Add a line; it survives a power cut."""
        line = {"at": int(time.time()), "node": self.node_id, "event": event, "step": step}
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, json.dumps(line).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def began(self, step: str) -> bool:
        """Whether this step of this board was begun with this log."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return False
        wanted = {"node": self.node_id, "event": "begin", "step": step}
        return any(wanted.items() <= _line(line).items() for line in lines)


def check_before(steps: Sequence[Step], fuses: Fuses, log: Log, trusted_key: str = "") -> None:
    """SecureError when a step cannot be done, or others have burnt it: before any is burnt.

    `trusted_key` is the name of the step whose key is known to be good though the log does not
    say so: a log that was lost with a laptop.
    """
    for step, state in standings(steps, fuses):
        if state is State.OTHERWISE:
            raise SecureError(f"step {step.name}: burnt otherwise; nothing was burnt now")
        burnt = state is not State.AHEAD
        if isinstance(step, FlashKeyStep) and burnt and not log.began(step.name):
            if state is State.DONE and trusted_key == step.name:
                continue
            raise SecureError(
                f"step {step.name}: {step.block} holds a key already, and {log.path} does not say "
                "that it is ours: somebody may have a copy; nothing was burnt now"
            )
    _in_order(steps, fuses)


def _in_order(steps: Sequence[Step], fuses: Fuses) -> None:
    """Secure boot or encryption that is on, without what comes before it, is somebody else's."""
    begun = False
    for step, state in reversed(standings(steps, fuses)):
        if step.name in {"secure-boot", "first-boot"} and state is State.DONE:
            begun = True
        elif begun and state is not State.DONE and step.name in {"digest", "digest0", "flash-key"}:
            raise SecureError(
                f"step {step.name} is not done, and the chip is locked already: burnt otherwise; "
                "nothing was burnt now"
            )


def apply(
    tool: EfuseTool, steps: Sequence[Step], log: Log, tell: Tell, trusted_key: str = ""
) -> bool:
    """Burn what is to do. True when all is done, False when the board must be started first.

    SecureError when check_before has one, and when a step does not read back: the rest is not
    burnt then.
    """
    fuses = tool.read()
    if fuses.node_id != log.node_id:
        raise SecureError(f"the chip is {fuses.node_id} now, not {log.node_id}: it was changed")
    check_before(steps, fuses, log, trusted_key)
    for step in steps:
        state = step.state(fuses)
        if state is State.DONE:
            tell(f"{step.name}: done before")
            continue
        if isinstance(step, BootStep):
            tell(f"{step.name}: {step.does}; then apply again")
            return False
        log.note("begin", step.name)
        _burn(tool, step, state, fuses)
        if step is steps[-1] and not tool.is_rehearsal:
            # The last step closes the door through which it would be read back. espefuse has
            # compared it in the same connection.
            log.note("burnt", step.name)
            tell(f"{step.name}: burnt; the loader is closed now")
            return True
        fuses = tool.read()
        if fuses.node_id != log.node_id or step.state(fuses) is not State.DONE:
            log.note("not read back", step.name)
            raise SecureError(f"step {step.name} does not read back: the rest is not burnt")
        log.note("done", step.name)
        tell(f"{step.name}: burnt and read back")
    return True


def _burn(tool: EfuseTool, step: BurnStep, state: State, fuses: Fuses) -> None:
    if state is State.HALF:
        for words in step.finish(fuses):
            tool.burn(words)
        return
    key = new_key() if isinstance(step, FlashKeyStep) else step.key()
    tool.burn(step.command(), key)


def _line(raw: bytes) -> dict[str, object]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):  # torn by a power cut
        return {}
    return found if isinstance(found, dict) else {}
