"""What a talk with a station needs of its connection, and what the talks of a listener share."""

from typing import Protocol

from fleet.legacy.commits import Item
from fleet.legacy.intake import Source
from fleet.legacy.mapping import Meanings

# A frame of which nothing came for so long was cut short, or its length was damaged: without an
# end of the wait the good frames behind it would be taken for the rest of it.
SILENCE_S = 10.0


class Channel(Protocol):
    """Where the bytes come from, and answers go. `host` is the peer's address."""

    host: str

    def commit(self, source: Source, item: Item) -> None:
        """Have it committed."""

    def send(self, data: bytes) -> None:
        """Answer; to a peer that is gone it goes nowhere."""

    def proven(self) -> None:
        """A whole frame has come."""

    def bad(self, what: str, size: int) -> None:
        """So many bytes were no frame, or none that is taken."""

    def parts(self, size: int) -> bool:
        """So many bytes wait for others of their message, 0: none any more. False: too many."""


class Rules:
    """What all talks of a listener share. `allowed`: MNs of which the CRC of MODBUS is taken."""

    def __init__(self, meanings: Meanings) -> None:
        self.meanings = meanings
        self.allowed: frozenset[str] = frozenset()
