"""What a broker that sees its clients' certificates can tell of their connections."""

from typing import NamedTuple, Protocol

from fleet.broker.peer import Peer


class Origin(NamedTuple):
    """Where a connection comes from, and the serial number of its certificate."""

    address: str
    serial: int


class Watch(Protocol):
    """Told in the broker's event loop; must be quick."""

    def connected(self, peer: Peer) -> None:
        """A client has come with a certificate that is in force."""

    def taken_over(self, cn: str, winner: Origin, loser: Origin, loser_spoke: bool) -> None:
        """A live connection of `cn` ends by a new one. `loser_spoke`: it had published."""
