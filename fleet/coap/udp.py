"""The UDP socket of the server: many datagrams at a time, each looked at before it costs anything.

It stands where aiocoap's `udp6` would, which makes objects of whatever comes.
"""

import asyncio
import socket
from collections import Counter

from aiocoap import Message, error, interfaces
from aiocoap.message import Direction

from fleet.coap import datagram
from fleet.coap.exchanges import TUNING, Exchanges, Peer
from fleet.coap.limits import Limits
from fleet.settings import SettingsError

AT_ONCE = 64  # datagrams for one turn of the event loop
MOST_REQUESTS = 4000  # in work; the queue behind them holds 5,000
RECEIVE_BYTES = 4 << 20  # what waits in the kernel; it gives what net.core.rmem_max allows
_RECVPKTINFO = socket.IPV6_RECVPKTINFO
_PKTINFO = socket.IPV6_PKTINFO


def bind(host: str, port: int, *options: int) -> socket.socket:
    """A socket for IPv4 and IPv6, with these options of SOL_SOCKET; SettingsError if taken."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        for option in options:
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.setsockopt(socket.IPPROTO_IPV6, _RECVPKTINFO, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        sock.setblocking(False)
        flags = socket.AI_V4MAPPED | socket.AI_PASSIVE
        found = socket.getaddrinfo(host, port, socket.AF_INET6, socket.SOCK_DGRAM, 0, flags)
        sock.bind(found[0][4])
    except (OSError, ValueError, OverflowError) as e:
        sock.close()
        reason = getattr(e, "strerror", None) or str(e)
        raise SettingsError(f"CoAP cannot listen on {host}:{port}: {reason}") from None
    return sock


class Udp(interfaces.MessageInterface):  # type: ignore[misc]
    """aiocoap's message interface on a socket that `bind` gave."""

    def __init__(
        self, sock: socket.socket, exchanges: Exchanges, limits: Limits, counts: Counter[str]
    ) -> None:
        self._sock = sock
        self._exchanges = exchanges
        self._limits = limits
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)

    def close_entrance(self) -> None:
        """Take nothing more; answers still go out."""
        self._loop.remove_reader(self._sock.fileno())

    def send_raw(self, raw: bytes, peer: Peer) -> None:
        """Send an answer from the address that was asked; what cannot be sent now is lost."""
        source = [] if peer.pktinfo is None else [(socket.IPPROTO_IPV6, _PKTINFO, peer.pktinfo)]
        try:
            self._sock.sendmsg((raw,), source, 0, peer.sockaddr)
        except OSError:  # a full buffer, no route: as if it were lost on the way
            self._counts["not sent"] += 1

    async def shutdown(self) -> None:
        """As aiocoap asks."""
        self.close_entrance()
        self._sock.close()

    def send(self, message: Message) -> None:
        """As aiocoap asks."""
        self.send_raw(message.encode(), message.remote)

    async def recognize_remote(self, remote: object) -> bool:
        """As aiocoap asks before it sends a request: this end sends none."""
        return isinstance(remote, Peer)

    async def determine_remote(self, message: Message) -> None:
        """As aiocoap asks before it sends a request: this end sends none."""

    def _readable(self) -> None:
        for _ in range(AT_ONCE):
            try:
                data, extra, _flags, sockaddr = self._sock.recvmsg(datagram.MOST_BYTES + 1, 64)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # of an answer that went before: the network's word, by ICMP
                continue
            pktinfo = next((raw for _, kind, raw in extra if kind == _PKTINFO), None)
            self.take(data, Peer(sockaddr, pktinfo, data))

    def take(self, data: bytes, peer: Peer) -> None:
        """What is done with each datagram."""
        self._counts["datagrams"] += 1
        if not self._limits.admit(peer.sockaddr[0]):
            self._counts["limited"] += 1
            return
        if datagram.is_ping(data):
            self._counts["pings"] += 1
            self.send_raw(datagram.reset(data), peer)
            return
        try:
            datagram.check(data)
            message = Message.decode(data, peer)
        except (datagram.MalformedError, error.UnparsableMessage, ValueError):
            self._counts["malformed"] += 1
            return
        if len(self._exchanges.token_manager.incoming_requests) >= MOST_REQUESTS:
            self._counts["overload"] += 1
            return
        message.direction = Direction.INCOMING
        message.transport_tuning = TUNING
        self._exchanges.dispatch_message(message)
