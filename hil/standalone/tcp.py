"""A line on a TCP port."""

import socket

from hil.standalone.lines import Descriptor, LineError


class Tcp(Descriptor):
    """A port of 127.0.0.1, bytes as they are; one client at a time, the next one waits for it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._client: socket.socket | None = None
        self._listener = socket.socket()
        self._listener.setblocking(False)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind(("127.0.0.1", number))
            self._listener.listen(1)
        except (OSError, OverflowError) as e:
            self._listener.close()
            raise LineError(f"tcp:{number}: {getattr(e, 'strerror', None) or e}") from None
        self.name = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def _watch(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            self._client, _ = self._listener.accept()
        except OSError:
            return
        self._loop.remove_reader(self._listener)
        self._client.setblocking(False)
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._fd = self._client.fileno()
        super()._watch()

    def _closed(self) -> None:
        self._hang_up()
        self._watch()

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._fd = -1

    def stop(self) -> None:
        """As Line.stop."""
        self._loop.remove_reader(self._listener)
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
        self._hang_up()
        self._listener.close()
