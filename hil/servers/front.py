"""A port of the rig that a node is pointed at, and who answers there from one test to the next."""

import contextlib
import select
import socket
import threading
from typing import Protocol

_CHUNK = 65536
_DEAD_S = 120.0  # of real time: nobody speaks for so long on a virtual rig, nor on a bench


class Visit:
    """One connection of a node's. `secured`: it has accepted our certificate and shown its own."""

    def __init__(self) -> None:
        self.secured = False
        self.heard = 0  # bytes
        self.failure = ""  # what the connection ended with, if not well
        self.ended = threading.Event()


class Host(Protocol):
    """Who answers at the port."""

    def receive(self, line: socket.socket, visit: Visit) -> None:
        """Until the connection ends; OSError where it breaks."""


class Front:
    """Listens on a port of its own from the beginning to `close`."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._host: Host = Silent()
        self._open: set[socket.socket] = set()
        self.visits: list[Visit] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def plays(self, host: Host) -> None:
        """From the next connection on; those of before are over, and forgotten."""
        self._host, self.visits = host, []
        self._hang_up()

    @property
    def ended(self) -> list[Visit]:
        """Connections that are over."""
        return [visit for visit in self.visits if visit.ended.is_set()]

    def close(self) -> None:
        """Nobody listens any more."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._hang_up()

    def _hang_up(self) -> None:
        for line in list(self._open):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._server.accept()
            except OSError:
                return
            line.settimeout(_DEAD_S)
            visit = Visit()
            self.visits.append(visit)
            self._open.add(line)
            threading.Thread(
                target=self._receive, args=(self._host, line, visit), daemon=True
            ).start()

    def _receive(self, host: Host, line: socket.socket, visit: Visit) -> None:
        try:
            host.receive(line, visit)
        except OSError as e:  # ssl.SSLError is one
            visit.failure = str(e) or type(e).__name__
        finally:
            self._open.discard(line)
            line.close()
            visit.ended.set()


class Silent:
    """Takes connections and whatever is said there, and answers nothing."""

    def receive(self, line: socket.socket, visit: Visit) -> None:
        """As Host."""
        while data := line.recv(_CHUNK):
            visit.heard += len(data)


class Relay:
    """Another port of this machine: the fleet's own, so that the node meets it here."""

    def __init__(self, port: int) -> None:
        self._port = port

    def receive(self, line: socket.socket, visit: Visit) -> None:
        """As Host."""
        with socket.create_connection(("127.0.0.1", self._port)) as behind:
            other = {line: behind, behind: line}
            while True:
                for ready in select.select(list(other), [], [], _DEAD_S)[0]:
                    data = ready.recv(_CHUNK)
                    if not data:
                        return
                    visit.heard += len(data) if ready is line else 0
                    other[ready].sendall(data)
