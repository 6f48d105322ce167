"""The errors of this package."""

from fleet.errors import Refusal


class RolloutError(Refusal, ValueError):
    """Refused; the text is one line: what was wrong and what to do."""


class MoveError(RolloutError):
    """Nobody of this kind ever moves an update to such a state."""
