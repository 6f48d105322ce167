"""A web server for the packages that modems fetch, on loopback, in the test's own loop."""

import asyncio


class FileServer:
    """`files` by path; anything else is a 404. `asked` has the paths that were asked for."""

    def __init__(self, **files: bytes) -> None:
        self.files = {f"/{name}": data for name, data in files.items()}
        self.asked: list[str] = []

    async def __aenter__(self) -> "FileServer":
        self._writers: list[asyncio.StreamWriter] = []
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split()[1].decode()
            self.asked.append(path)
            data = self.files.get(path)
            status = b"404 Not Found" if data is None else b"200 OK"
            data = data or b""
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(data)))
            writer.write(data)
            await writer.drain()
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the modem went away
        writer.close()
