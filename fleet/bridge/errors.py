"""What bridges refuse."""

from fleet.errors import Refusal


class BridgeError(Refusal, ValueError):
    """Refused; the text is one line: what was wrong and what to do."""


class MappingFault(BridgeError):
    """A file of a bridge is not as it must be; the text says which key."""


class SourceGone(BridgeError):
    """A source cannot be read now; it may come back, and nothing is lost by waiting."""


class Unmapped(BridgeError):
    """A row cannot become readings; it goes to the dead letters with this line."""
