"""The bench: its boards, until it is told to end."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from hil.virtual.bench import requests
from hil.virtual.bench.control import Control
from hil.virtual.bench.folder import BenchError, Folder
from hil.virtual.bench.place import Maker, Place, Setting
from hil.virtual.bench.spec import MOST, Spec
from hil.virtual.esprom.wire import WireError

SOCKET = "control"


def decide(folder: Folder, asked: Sequence[Spec], default: Sequence[Spec]) -> list[Spec]:
    """The boards that are to stand here: those that did, or `asked`, or else `default`.

    BenchError where other boards are asked for than stand here: flash and eFuses are theirs.
    """
    before = folder.specs()
    if not asked:
        return before or list(default)
    if len(asked) > MOST:
        raise BenchError(f"{len(asked)} boards are too many: {MOST} at most")
    for number, (old, new) in enumerate(zip(before, asked, strict=False), 1):
        if old.board != new.board:
            raise BenchError(
                f"board {number} in {folder.path} is a {old.board}, not a {new.board}: give "
                "--folder another, or delete it"
            )
    return list(asked)


class Bench:
    """Boards by `specs` in `folder`, which is held already. In a running loop."""

    def __init__(
        self, folder: Folder, specs: Sequence[Spec], setting: Setting, maker: Maker
    ) -> None:
        self.folder = folder
        self.places: dict[str, Place] = {}
        for number, spec in enumerate(specs, 1):
            name = str(number)
            try:
                self.places[name] = Place(name, number, spec, folder.path, setting, maker)
            except WireError as e:
                raise BenchError(str(e)) from None
        for place in self.places.values():
            place.rig.unplugged = self._tell
        folder.remember(specs)
        self._socket = (folder.path / SOCKET).resolve()
        self._control = Control(self._socket, self._answer)
        self._failed: asyncio.Future[None] | None = None

    async def run(self, ready: Callable[[dict[str, Any]], None]) -> None:
        """Until it is cancelled. `ready` gets what `bench.json` says."""
        loop = asyncio.get_running_loop()
        self._failed = loop.create_future()
        loop.set_exception_handler(self._broken)
        try:
            await self._control.start()
            for place in self.places.values():
                place.rig.power_on()
            ready(self._tell())
            await self._failed
        finally:
            await self._control.stop()
            for place in self.places.values():
                place.rig.unplugged = lambda: None
                place.rig.power_off()
            await asyncio.gather(*(place.application.gone() for place in self.places.values()))

    def facts(self) -> dict[str, Any]:
        """What `bench.json` says: boards that are unplugged have no port, and are left out."""
        plugged = [place for place in self.places.values() if place.rig.wire.plugged]
        return {
            "pid": os.getpid(),
            "control": str(self._socket),
            "boards": [place.facts() for place in plugged],
            "unplugged": [name for name, place in self.places.items() if place not in plugged],
        }

    def _tell(self) -> dict[str, Any]:
        facts = self.facts()
        self.folder.tell(facts)
        return facts

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any] | Awaitable[dict[str, Any]]:
        answered = requests.answer(self.places, asked)
        if asked.get("do") == "power-on":
            self._tell()
        return answered

    def _broken(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        # A fault of ours: it must not go on half working.
        error = context.get("exception")
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(
                error if isinstance(error, Exception) else RuntimeError(str(context))
            )
