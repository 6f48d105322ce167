"""A UDP port of the rig that a node is pointed at instead of the fleet's CoAP port."""

import contextlib
import socket
import threading
from collections.abc import Callable

from hil.servers import packets

_MOST = 2048  # bytes of a datagram
_LOOK_S = 0.1  # of real time: behind it a change of who answers is seen

Answers = Callable[[bytes], list[bytes]]

_ACK = 0x60  # version 1, acknowledgement, no token (RFC 7252, 3)
_CHANGED, _CONTENT = 0x44, 0x45  # 2.04, 2.05
_OSCORE = b"\x90"  # the option, empty: as a peer answers (RFC 8613, 5.2)


def nothing(_: bytes) -> list[bytes]:
    """Whoever is silent."""
    return []


def forged(request: bytes) -> list[bytes]:
    """What somebody on the way can make of a request that he cannot read: that all is well, in
    the clear; the same beneath what looks sealed; and the request's own seal given back.
    """
    head = request[2:4]  # the message id, which everybody sees
    sealed = request.partition(b"\xff")[2]
    return [
        bytes((_ACK, _CHANGED)) + head,
        bytes((_ACK, _CONTENT)) + head + b"\xff\x80",
        bytes((_ACK, _CHANGED)) + head + _OSCORE + b"\xff" + bytes(9),
        bytes((_ACK, _CHANGED)) + head + _OSCORE + b"\xff" + sealed,
    ]


class CoapPeer:
    """Listens from the beginning to `close`; `came` is what a node sent while it answered so."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(_LOOK_S)
        self.port = int(self._socket.getsockname()[1])
        self.came: list[bytes] = []
        self._answers: Answers = nothing
        self._behind: dict[tuple[str, int], socket.socket] = {}
        self._relayed_to = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ends = False
        self._thread.start()

    def answers(self, how: Answers) -> None:
        """From the next datagram on."""
        self._relayed_to, self._answers, self.came = 0, how, []

    def relays(self, port: int) -> None:
        """From the next datagram on they go to this port of the machine, and answers back."""
        self._relayed_to, self.came = port, []

    def close(self) -> None:
        """Nobody listens any more."""
        self._ends = True
        self._thread.join()
        for each in (self._socket, *self._behind.values()):
            each.close()

    def _serve(self) -> None:
        while not self._ends:
            with contextlib.suppress(OSError):  # nothing came, or a node's port is gone
                data, sender = self._socket.recvfrom(_MOST)
                self.came.append(data)
                packets.coap(packets.CAME, data)
                if self._relayed_to:
                    self._relay(data, sender)
                for answer in self._answers(data) if not self._relayed_to else []:
                    packets.coap(packets.WENT, answer)
                    self._socket.sendto(answer, sender)

    def _relay(self, data: bytes, sender: tuple[str, int]) -> None:
        if sender not in self._behind:
            behind = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            behind.connect(("127.0.0.1", self._relayed_to))
            self._behind[sender] = behind
            threading.Thread(target=self._back, args=(behind, sender), daemon=True).start()
        self._behind[sender].send(data)

    def _back(self, behind: socket.socket, sender: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):
            while True:
                answer = behind.recv(_MOST)
                packets.coap(packets.WENT, answer)
                self._socket.sendto(answer, sender)
