"""A modem made of the VM's own TCP sockets, for tests of what lies above one."""

import asyncio

from node.errors import SocketError


class TcpSocket:
    """A modem's Socket over TCP; it hands out at most `most` bytes and sends `step` at a time.

    After `fail_after` received bytes the modem loses the connection (0: never).
    """

    def __init__(self, reader, writer, most, step, fail_after):
        self._reader = reader
        self._writer = writer
        self._most = most
        self._step = step
        self._left = fail_after or 1 << 29

    async def send(self, buf):
        view = memoryview(buf)
        for at in range(0, len(view), self._step):
            self._writer.write(bytes(view[at : at + self._step]))
            await self._writer.drain()
            await asyncio.sleep_ms(0)

    async def recv(self, n):
        if not self._left:
            raise SocketError("the modem restarted", 567)
        data = await self._reader.read(min(n, self._most, self._left))
        self._left -= len(data)
        return data

    async def close(self):
        self._writer.close()


class TcpModem:
    """`connect` reaches the loopback, whatever the host's name is."""

    def __init__(self, most=1024, step=1024, fail_after=0):
        self._how = most, step, fail_after

    async def connect(self, _host, port, deadline_ms):
        try:
            opened = asyncio.open_connection("127.0.0.1", port)
            reader, writer = await asyncio.wait_for_ms(opened, deadline_ms)
        except OSError as e:
            raise SocketError(str(e), e.errno) from e
        return TcpSocket(reader, writer, *self._how)
