"""A board in memory for the firmware on CPython: flash, NVS and RTC memory that a power cut stops
in the middle of any operation. Many boards run in one process: each task has its own.
"""

import asyncio
import errno
import io
import sys
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import chip_asyncio  # noqa: F401  # asyncio.wait_for_ms
from numbers_rig import Fuse, Nvs, PowerCut, Rtc


class Power(Fuse):
    """Once it is cut nothing happens any more until it is on again."""

    def __init__(self) -> None:
        super().__init__()
        self.is_on = True
        self.passed = 0

    def pass_one(self) -> None:
        """As Fuse's."""
        if not self.is_on:
            raise PowerCut
        self.passed += 1
        try:
            super().pass_one()
        except PowerCut:
            self.is_on = False
            raise


class Flash:
    """Files as littlefs keeps them: a file is what it was until it is closed."""

    def __init__(self, power: Power) -> None:
        self._power = power
        self._files: dict[str, bytes] = {}
        self._folders: set[str] = set()

    @contextmanager
    def open(self, path: str, mode: str) -> Iterator[io.BytesIO]:
        """Modes rb, wb and ab."""
        self._power.pass_one()
        if mode == "rb":
            yield io.BytesIO(self._found(path))
            return
        file = io.BytesIO()
        yield file
        self._power.pass_one()
        before = self._files.get(path, b"") if mode == "ab" else b""
        self._files[path] = before + file.getvalue()
        self._power.pass_one()

    def listdir(self, path: str) -> list[str]:
        """As os.listdir."""
        if path not in self._folders:
            raise OSError(errno.ENOENT, path)
        return [name[len(path) + 1 :] for name in self._files if name.startswith(path + "/")]

    def ilistdir(self, path: str) -> list[tuple[str]]:
        """As os.ilistdir, names alone."""
        return [(name,) for name in self.listdir(path)]

    def stat(self, path: str) -> None:
        """As os.stat, of which only the error is used."""
        if path not in self._folders:
            self._found(path)

    def mkdir(self, path: str) -> None:
        """As os.mkdir."""
        self._power.pass_one()
        self._folders.add(path)

    def remove(self, path: str) -> None:
        """As os.remove."""
        self._power.pass_one()
        self._found(path)
        del self._files[path]
        self._power.pass_one()

    def rename(self, old: str, new: str) -> None:
        """As os.rename, which replaces."""
        self._power.pass_one()
        self._files[new] = self._found(old)
        del self._files[old]
        self._power.pass_one()

    def _found(self, path: str) -> bytes:
        if path not in self._files:
            raise OSError(errno.ENOENT, path)
        return self._files[path]


class Board:
    """What a node has besides its radio, behind one power supply."""

    def __init__(self, power: Power) -> None:
        self.power = power
        self.nvs = Nvs(power)
        self.rtc = Rtc(power)
        self.flash = Flash(power)

    def power_on(self, *, cold: bool) -> None:
        """After a cut; `cold`: it was so long that RTC memory is lost too."""
        self.nvs.reset()
        if cold:
            self.rtc.data = b""
        self.power.left = None
        self.power.is_on = True


OPERATIONS = ("ilistdir", "listdir", "mkdir", "remove", "rename", "stat")
BOARD: ContextVar[Board] = ContextVar("BOARD")


def fit() -> Any:
    """Let the firmware's modules find the board of the task they run in; gives
    node.link.coap_door. Once in a process, which then is good for nothing else.
    """
    esp32: Any = types.ModuleType("esp32")
    esp32.NVS = lambda _namespace: BOARD.get().nvs
    sys.modules["esp32"] = esp32
    clock: Any = time
    clock.ticks_ms = lambda: time.monotonic_ns() // 1_000_000
    clock.ticks_diff = lambda later, earlier: later - earlier
    clock.ticks_add = lambda ticks, more: ticks + more
    assert hasattr(asyncio, "wait_for_ms")
    from node.link import coap_door, oscore
    from node.store import journal, ledger, segments

    # One chip's heap has no room for them; here the nodes share them.
    coap_door.forget = oscore.forget = lambda _name: None
    for module in (journal, ledger, segments):
        module.os = types.SimpleNamespace(**{name: _own(name) for name in OPERATIONS})
        module.open = _own("open")
    return coap_door


def _own(name: str) -> Any:
    """That operation of the flash of whoever calls it."""

    def operation(*arguments: str) -> Any:
        return getattr(BOARD.get().flash, name)(*arguments)

    return operation
