"""Reset and loader of a board: by DTR and RTS of its port, or by the bench of a virtual board."""

import errno
import json
import socket
import time
from typing import Any

from fleet.flashing.errors import BenchGone
from fleet.flashing.ports import Port

# Seconds, as esptool's own classic reset: EN is held, and the strap outlives its rise.
HOLD, STRAP = 0.1, 0.05
ANSWER = 5.0  # seconds in which the bench answers


def ask_bench(port: Port, do: str, **more: Any) -> dict[str, Any]:
    """One request to the bench of a virtual port; its answer. BenchGone with the reason."""
    line = json.dumps({"board": port.board, "do": do, **more}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(ANSWER)
            link.connect(port.control)
            link.sendall(line)
            with link.makefile("rb") as answers:
                answer = json.loads(answers.readline(1 << 20))
    except (OSError, ValueError) as e:
        raise BenchGone(f"{port.name}: the bench does not answer on {port.control}: {e}") from None
    if not isinstance(answer, dict) or "error" in answer:
        raise BenchGone(f"{port.name}: the bench refuses {do}: {answer}")
    return answer


def _pulse(line: Any, strap: bool) -> None:
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
        if e.errno not in (errno.ENOTTY, errno.EINVAL):
            raise


def reset(port: Port, line: Any) -> None:
    """Start the board's application; `line` is the port, opened by pyserial."""
    if port.virtual:
        ask_bench(port, "reset")
    else:
        _pulse(line, strap=False)


def enter_loader(port: Port, line: Any) -> None:
    """Start the chip's ROM loader; `line` is the port, opened by pyserial."""
    if port.virtual:
        ask_bench(port, "loader")
    else:
        _pulse(line, strap=True)
