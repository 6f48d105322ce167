"""A relay of datagrams between a node and the fleet, which spoils answers where a test wants."""

import select
import socket
import threading

_LOOK_S = 0.2


class DatagramRelay:
    """Stands on `port` before the fleet's port `behind`. While `spoils` is true the last byte of
    each answer, which is one of its seal, is another one; `spoilt` counts them."""

    def __init__(self, behind: int) -> None:
        self._front = _bound()
        self._back = _bound()
        self._behind = ("127.0.0.1", behind)
        self.port = int(self._front.getsockname()[1])
        self.spoils = False
        self.spoilt = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> "DatagramRelay":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._front.close()
        self._back.close()

    def _serve(self) -> None:
        node = None
        while not self._over.is_set():
            ready, _, _ = select.select([self._front, self._back], [], [], _LOOK_S)
            if self._front in ready:
                data, node = self._front.recvfrom(65535)
                self._back.sendto(data, self._behind)
            if self._back in ready and node is not None:
                data = self._back.recv(65535)
                # An empty message (RFC 7252, 4.1) has no seal: it acknowledges, and says nothing.
                if self.spoils and len(data) > 4:
                    self.spoilt += 1
                    data = data[:-1] + bytes((data[-1] ^ 1,))
                self._front.sendto(data, node)


def _bound() -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind(("127.0.0.1", 0))
    return found
