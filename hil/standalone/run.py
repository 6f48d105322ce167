"""A twin on a line until it is told to end."""

import asyncio
import signal
from collections.abc import Callable

from hil.standalone.lines import Line, LineError
from hil.standalone.port import RealPort
from hil.virtual.bench.control import Control
from hil.virtual.twin import UartTwin

ENDS = (signal.SIGINT, signal.SIGTERM)
POWER = signal.SIGUSR1


class Standalone:
    """`heard` counts the bytes that drivers wrote, `said` those for them, `lost` how many of
    these no driver got. `control` is served meanwhile.
    """

    def __init__(self, twin: UartTwin, line: Line, control: Control | None = None) -> None:
        self._twin = twin
        self._control = control
        self._line = line
        self._end: asyncio.Future[None] | None = None
        self._port: RealPort | None = None
        self.heard = 0

    @property
    def name(self) -> str:
        """What a driver opens."""
        return self._line.name

    @property
    def said(self) -> int:
        """Bytes that the twin sent."""
        return 0 if self._port is None else self._port.said

    @property
    def lost(self) -> int:
        """Bytes for which no driver was there, or had no room."""
        return self._line.lost

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until `stop`, SIGINT or SIGTERM; LineError where the line is gone.

        `ready` is called once drivers may come. SIGUSR1 cuts the twin's power and gives it again.
        """
        loop = asyncio.get_running_loop()
        self._end = loop.create_future()
        loop.set_exception_handler(self._broken)
        for number in ENDS:
            loop.add_signal_handler(number, self.stop)
        port = self._port = RealPort(self._line)
        loop.add_signal_handler(POWER, self._power_cycle, port)
        self._twin.attach(port)
        try:
            self._line.start(self._on_bytes, self._on_gone)
            self._twin.power_on()
            if self._control is not None:
                await self._control.start()
            ready()
            await self._end
        finally:
            if self._control is not None:
                await self._control.stop()
            port.power_cut()
            self._twin.power_off()
            self._line.stop()
            for number in (*ENDS, POWER):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """End in good order."""
        if self._end is not None and not self._end.done():
            self._end.set_result(None)

    def _on_bytes(self, data: bytes) -> None:
        self.heard += len(data)
        self._twin.on_bytes(data)

    def _on_gone(self, why: str) -> None:
        self._fail(LineError(why))

    def _broken(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        # A fault of ours: it must not go on half working.
        error = context.get("exception")
        self._fail(error if isinstance(error, Exception) else RuntimeError(str(context)))

    def _fail(self, error: Exception) -> None:
        if self._end is not None and not self._end.done():
            self._end.set_exception(error)

    def _power_cycle(self, port: RealPort) -> None:
        port.power_cut()
        self._twin.power_off()
        self._twin.power_on()
