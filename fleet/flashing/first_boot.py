"""What a board says on its console after a reset: its self-test, or why it does not get there."""

import json
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from fleet.flashing.errors import FlashError

PATIENCE = 30.0  # seconds from reset to the self-test's line
LINE = b"kapok-selftest "
LONGEST = 4096  # bytes of a line
RESCUED = "kapok: the slot does not start"  # as boot.py says it
RESETS = 4  # as many boots without a self-test are a loop

_RESET = re.compile(rb"rst:0x[0-9a-f]+ \((\w+)\)(?:,boot:(0x[0-9a-f]+))?")
_TROUBLE = {
    rb"Brownout detector was triggered": "brown-out: use a powered hub or another cable",
    rb"invalid header: 0x[0-9a-f]+": "invalid header: no bootloader, flash again with --all",
    rb"[Nn]o bootable app": "the bootloader finds no application: flash again with --all",
    rb"flash read err": "the flash chip does not answer the ROM: a fault of the board",
    rb"Guru Meditation Error: .{0,80}": "the runtime crashes",
    rb"waiting for download": "it stays in its loader: the BOOT strap is held low",
}


class FirstBootError(FlashError):
    """The board does not start as it should; the text names the cause as far as it shows."""


class Line(Protocol):
    """The part of pyserial's Serial that is used; read() waits for a short time at most."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""


class FirstBoot(NamedTuple):
    """`selftest` as the node reports it; `log` are the lines before it."""

    selftest: dict[str, Any]
    log: tuple[str, ...]


class Watcher:
    """Takes the console's bytes; `selftest` is set by the line, `trouble` by a hopeless state."""

    def __init__(self) -> None:
        self._rest = b""
        self.log: list[str] = []
        self.selftest: dict[str, Any] | None = None
        self.trouble = ""
        self.resets = 0
        self.boot_mode = ""  # the strap as the ROM read it: 0x8 or 0x13 is the application
        self._hint = ""
        self._traceback = False

    def feed(self, data: bytes) -> None:
        """Any bytes, cut anywhere."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-LONGEST:]
        for line in lines:
            self._line(line[-LONGEST:].rstrip(b"\r"))

    def _line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        self.log = [*self.log[-199:], "".join(c if c.isprintable() else "?" for c in text)]
        if RESCUED in text:
            self.trouble = "its slot does not start, only the rescue application: flash with --all"
            return
        at = line.find(LINE)
        if at >= 0:
            try:
                value = json.loads(line[at + len(LINE) :])
            except (ValueError, RecursionError):
                value = None
            if isinstance(value, dict):
                self.selftest = value
                return
        if match := _RESET.search(line):
            self.resets += 1
            self.boot_mode = (match[2] or b"").decode() or self.boot_mode
            cause = match[1].decode()
            if "WDT" in cause:
                self._hint = self._hint or f"its watchdog resets it ({cause})"
            if self.resets >= RESETS:
                self.trouble = f"{self._hint or f'it keeps resetting ({cause})'}: a crash loop"
        for pattern, meaning in _TROUBLE.items():
            if match := re.search(pattern, line):
                self._hint = f"{meaning} ({match[0].decode('ascii', 'replace')})"
        if self._traceback and text and not text.startswith(" "):
            self._hint, self._traceback = f"the application fails: {text[:120]}", False
        if text.startswith("Traceback"):
            self._traceback = True

    def why(self) -> str:
        """What is known of a board that gave no self-test."""
        if self.trouble or self._hint:
            return self.trouble or self._hint
        if not self.log and not self._rest:
            return "nothing comes from its console: check the line from its TX, and its supply"
        last = next((line for line in reversed(self.log) if line.strip()), "")
        return f"it printed no self-test; its last line was: {last[:120]}"


def watch(
    name: str,
    line: Line,
    *,
    patience: float = PATIENCE,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> FirstBoot:
    """Read the console until the self-test; FirstBootError with the reason otherwise."""
    watcher = Watcher()
    end = clock() + patience
    while watcher.selftest is None and not watcher.trouble and clock() < end and not stop():
        try:
            watcher.feed(line.read(4096))
        except OSError as e:
            raise FirstBootError(f"{name}: the port went away while it started: {e}") from None
    if watcher.selftest is None or watcher.trouble:
        raise FirstBootError(f"{name}: flashed, but it does not start: {watcher.why()}")
    bad = [part for part in ("vfs", "nvs") if watcher.selftest.get(part) is False]
    if bad:
        raise FirstBootError(f"{name}: flashed, but its self-test finds a bad {' and '.join(bad)}")
    return FirstBoot(watcher.selftest, tuple(watcher.log))
