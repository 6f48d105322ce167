"""One UDP socket of the modem."""

from typing import TYPE_CHECKING

from hil.virtual.modem.hosts import Outage

if TYPE_CHECKING:
    from hil.virtual.modem.bridge import Bridge

HEADERS = 28  # octets of IPv4 and UDP


class Datagrams:
    """`host` "" has no peer: any may answer. `up` and `down` count payload bytes.

    A datagram to a host that the operator does not let through vanishes, as one that is lost.
    """

    def __init__(self, bridge: "Bridge", number: int, host: str, port: int) -> None:
        self.number = number
        self.host = host
        self.port = port
        self.up = 0
        self.down = 0
        self.acked = 0  # nobody acknowledges
        self.open = False
        self.ended = False
        self._bridge = bridge
        self._mapping = bridge.nat.enter(self._receive)

    def begin(self) -> None:
        """Get a local port."""
        self._bridge.port.real(+1)
        self.open = True

    def send(self, data: bytes, release: int) -> bool:
        """To the peer; False without one."""
        if not self.host:
            return False
        self.send_to(self.host, self.port, data, release)
        return True

    def send_to(self, host: str, port: int, data: bytes, release: int) -> None:
        """To any host; Unresolved for an unknown name."""
        hosts = self._bridge.hosts
        address = hosts.address(host)
        through = address is not None and hosts.lets_through(host, address)
        self.up += len(data)

        def arrived() -> None:
            if through and hosts.outage is Outage.NONE:
                self._mapping.send(data, (address, port))
                self._bridge.port.kick()

        self._bridge.air.up(HEADERS + len(data), arrived, release)

    def abort(self) -> None:
        """The socket is gone."""
        self.end()

    def end(self) -> None:
        """Nothing more happens here. Twice does nothing."""
        self.open = False
        if self.ended:
            return
        self.ended = True
        self._mapping.close()
        self._bridge.port.real(-1)

    def _receive(self, data: bytes, peer: tuple[str, int]) -> None:
        if self._from_peer(peer) and self._bridge.hosts.outage is Outage.NONE:
            self._bridge.air.down(HEADERS + len(data), lambda: self._arrived(data, peer))

    def _from_peer(self, peer: tuple[str, int]) -> bool:
        return not self.host or peer == (self._bridge.hosts.address(self.host), self.port)

    def _arrived(self, data: bytes, peer: tuple[str, int]) -> None:
        if not self.ended:
            self.down += len(data)
            self._bridge.datagram(self.number, *peer, data)
