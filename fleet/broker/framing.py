"""Bounds that amqtt's stream adapters lack: on packet size, and on the time of each step."""

import asyncio
from contextlib import suppress

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter

from fleet.broker.permissions import MAX_PACKET_BYTES

PACKET_SECONDS = 20  # from a packet's first byte to its last: 8 kB over a poor NB-IoT cell
WRITE_SECONDS = 20
CLOSE_SECONDS = 2


class PacketRefused(Exception):
    """A packet is over the bound or its length lies; the connection ends."""


class FramedReader(StreamReaderAdapter):
    """Reads one whole MQTT packet, bounded in size and time, and only then serves its bytes.

    A parser that asks for more than the packet's announced length is refused instead of being
    given the next packet's bytes.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._frame = b""
        self._at = 0

    async def read(self, n: int = -1) -> bytes:
        """The next `n` bytes of the packet; waits for a packet only between two packets."""
        if self._at == len(self._frame):
            await self._next_frame()
        end = self._at + n
        if n < 0 or end > len(self._frame):
            raise PacketRefused("a field of the packet is longer than the packet")
        data = self._frame[self._at : end]
        self._at = end
        return data

    def end(self) -> None:
        """Let the read that waits, and all after it, fail as if the peer had gone."""
        self._reader.set_exception(ConnectionResetError("the broker ends this connection"))

    async def _next_frame(self) -> None:
        first = await self._reader.readexactly(1)  # the keep-alive bounds this wait
        async with asyncio.timeout(PACKET_SECONDS):
            frame = bytearray(first)
            length = shift = 0
            while True:
                byte = (await self._reader.readexactly(1))[0]
                frame.append(byte)
                length |= (byte & 0x7F) << shift
                shift += 7
                if not byte & 0x80:
                    break
                if shift == 28:  # MQTT 3.1.1, 2.2.3: four bytes at most
                    raise PacketRefused("remaining length over four bytes")
            if length > MAX_PACKET_BYTES:
                raise PacketRefused(f"packet of {length} bytes; at most {MAX_PACKET_BYTES}")
            frame += await self._reader.readexactly(length)
        self._frame, self._at = bytes(frame), 0


class BoundedWriter(StreamWriterAdapter):
    """Writes and closes within a time, so that a dead peer cannot hold up the broker."""

    async def drain(self) -> None:
        """Wait for the peer to take what was written; the connection ends if it does not."""
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await super().drain()
        except TimeoutError:
            self.abort()
            raise ConnectionResetError("the peer does not read") from None

    async def close(self) -> None:
        """Flush and close; after CLOSE_SECONDS the connection is cut."""
        if self.is_closed:
            return
        self.is_closed = True
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._writer.drain()
                self._writer.close()
                await self._writer.wait_closed()
                return
        self.abort()

    def abort(self) -> None:
        """Cut the connection now; the reader sees its end."""
        self._writer.transport.abort()
