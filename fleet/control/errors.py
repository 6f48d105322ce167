"""The one error of this package."""

from fleet.errors import Refusal


class ControlError(Refusal, ValueError):
    """Refused; the text is one line: what was wrong and what to do."""
