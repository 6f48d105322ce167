"""An RS-485 line: one question and its answer, whatever else is on the wires.

Half duplex: the driver is on only while the node sends, and a pause keeps two frames apart.
"""

import asyncio
import time

import machine
from micropython import const

_UNIT = const(2)  # UART 0 is the console, 1 the modem
_BUFFER = const(512)  # two of the longest frames
_MOST = const(600)  # bytes that may come before a question is given up
_CHUNK = const(64)
_GAP_MS = const(150)  # within a frame; DL/T 645 allows 500, and no meter takes that
# The chip hands bytes over when 120 have come, or none for the time of 10 (ESP-IDF's UART driver):
# what is on the line is seen so much later.
_FIFO = const(130)
_IDLE = const(12)
_QUIET_MOST = const(20)  # looks at a line that somebody babbles on
_SPIN_MS = const(20)  # the last byte leaves later than it should by no more than this

NO_PARITY, EVEN, ODD = 0, 1, 2


class BusTimeout(Exception):
    """No whole answer came in time; `noise` is how many bytes came that were none."""

    def __init__(self, noise: int) -> None:
        super().__init__("no answer on the bus, %d other bytes" % noise)
        self.noise = noise


class Bus:
    """The line on the pins `bus_tx`, `bus_rx` and, where the driver needs one, `bus_de`."""

    def __init__(self, pins: dict) -> None:
        self._pins = pins
        self._uart: machine.UART = None  # type: ignore[assignment]  until `line` opens it
        self._line: tuple = ()
        self._bits = 10  # of a character on the line
        self._de = None
        if "bus_de" in pins:
            self._de = machine.Pin(pins["bus_de"], machine.Pin.OUT, value=0)

    def line(self, baud: int, parity: int = EVEN, stop: int = 1) -> None:
        """Speak at `baud` with 8 bits, `parity` and 1 or 2 stop bits from now on."""
        if self._line == (baud, parity, stop):
            return
        self._line = (baud, parity, stop)
        self._bits = 9 + stop + (parity != NO_PARITY)
        self._uart = machine.UART(
            _UNIT,
            baudrate=baud,
            bits=8,
            parity=(None, 0, 1)[parity],
            stop=stop,
            tx=self._pins["bus_tx"],
            rx=self._pins["bus_rx"],
            rxbuf=_BUFFER,
            txbuf=_BUFFER,
        )
        self._reader = asyncio.StreamReader(self._uart)

    def close(self) -> None:
        """Let go of the UART."""
        if self._line:
            self._uart.deinit()
        self._line = ()

    async def ask(self, request: bytes, length, head: int, timeout_ms: int) -> bytes:
        """Send `request`, and return the frame that comes back. BusTimeout when none does.

        `length(data)` says how many bytes the frame has that begins with `data`, 0 while it cannot
        tell, ValueError for what begins none (the codecs' `length` and `reply_length`); `head` is
        the frame's first byte. The frame is whole, but unchecked.
        """
        await self.send(request)
        return await self.listen(length, head, timeout_ms)

    async def send(self, request: bytes) -> None:
        """Send it behind a pause that keeps frames apart, and forget what came before."""
        # Modbus wants 3.5 characters of silence, 1.75 ms at least; less than 12 cannot be seen.
        for _ in range(_QUIET_MOST):
            await asyncio.sleep_ms(2 + self._ms(_IDLE))
            if not self._uart.any():
                break
            while self._uart.any():
                self._uart.read(_CHUNK)
        if self._de is not None:
            self._de.value(1)
        try:
            self._uart.write(request)
            await asyncio.sleep_ms(self._ms(len(request)))
            # The answer may come 3.5 characters later: the driver goes off with the last bit, not
            # when the scheduler comes back to it.
            until = time.ticks_add(time.ticks_ms(), _SPIN_MS)
            while not self._uart.txdone() and time.ticks_diff(until, time.ticks_ms()) > 0:
                pass
        finally:
            if self._de is not None:
                self._de.value(0)

    async def listen(self, length, head: int, timeout_ms: int) -> bytes:
        """The next frame, as in `ask`."""
        data = bytearray()
        chunk = bytearray(_CHUNK)
        noise = 0
        wait_ms = timeout_ms + self._ms(_FIFO)
        while noise + len(data) < _MOST:
            try:
                size = await asyncio.wait_for_ms(self._reader.readinto(chunk), wait_ms)
            except asyncio.TimeoutError:
                break
            data += memoryview(chunk)[: size or 0]
            while data:
                wanted = 0
                try:
                    if data[0] == head:
                        wanted = length(data)
                        if not wanted or len(data) < wanted:
                            break
                except ValueError:
                    wanted = 0
                if wanted:
                    return bytes(memoryview(data)[:wanted])
                data = data[1:]  # of a driver that was switched, or an echo: not a frame's
                noise += 1
            wait_ms = (_GAP_MS if data else timeout_ms) + self._ms(_FIFO)
        raise BusTimeout(noise + len(data))

    def _ms(self, characters: int) -> int:
        # How long they take on the line.
        return characters * self._bits * 1000 // self._line[0]
