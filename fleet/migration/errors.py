"""The one error of this package's planning part."""

from fleet.errors import Refusal


class MigrationError(Refusal, ValueError):
    """Refused; one line: what was wrong, where, what to do."""
