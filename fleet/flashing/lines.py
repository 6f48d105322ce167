"""Reset and loader of a board: by DTR and RTS of its port, or by the bench of a virtual board."""

import errno
import json
import socket
import time
from typing import Any

from fleet.flashing.errors import BenchGone, LinkLost
from fleet.flashing.ports import Port

# Seconds, as esptool's own classic reset: EN is held, and the strap outlives its rise.
HOLD, STRAP = 0.1, 0.05
ANSWER = 30.0  # seconds in which the bench answers, with all its boards at work
LONGEST = 262_144  # bytes of an answer


def request(control: str, asked: dict[str, Any], patience_s: float = ANSWER) -> dict[str, Any]:
    """One request to a bench's control socket; its answer. BenchGone where it has none, or no, or
    none within `patience_s`.
    """
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(patience_s)
            link.connect(control)
            link.sendall(json.dumps(asked).encode() + b"\n")
            with link.makefile("rb") as answers:
                answer = json.loads(answers.readline(LONGEST))
    except (OSError, ValueError, RecursionError) as e:
        raise BenchGone(f"the bench does not answer on {control}: {e}") from None
    if not isinstance(answer, dict):
        raise BenchGone(f"the bench on {control} gave no answer")
    if "error" in answer:
        raise BenchGone(str(answer["error"]))
    return answer


def ask_bench(port: Port, do: str) -> dict[str, Any]:
    """What the bench of a virtual port answers when it is to do that; BenchGone as request."""
    try:
        return request(port.control, {"board": port.board, "do": do})
    except BenchGone as e:
        raise BenchGone(f"{port.name}: {e}") from None


def _pulse(port: Port, line: Any, strap: bool) -> None:
    try:
        line.dtr = False  # GPIO0 high: boot from flash
        line.rts = True  # EN low
        time.sleep(HOLD)
        if strap:
            line.dtr = True
        line.rts = False
        if strap:
            time.sleep(STRAP)
            line.dtr = False
    except OSError as e:
        # A pseudo-terminal has no such lines: whoever holds its other end resets the board.
        if e.errno in (errno.ENOTTY, errno.EINVAL):
            return
        # A chip that is its own USB adapter goes away with the reset that was asked for.
        if not port.native_usb:
            raise LinkLost(f"{port.name}: the port went away at a reset: {e}") from None


def reset(port: Port, line: Any) -> None:
    """Start the board's application; `line` is the port, opened by pyserial."""
    if port.virtual:
        ask_bench(port, "reset")
    else:
        _pulse(port, line, strap=False)


def enter_loader(port: Port, line: Any) -> None:
    """Start the chip's ROM loader; `line` is the port, opened by pyserial."""
    if port.virtual:
        ask_bench(port, "loader")
    else:
        _pulse(port, line, strap=True)
