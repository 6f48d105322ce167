"""The one error of metering."""

from fleet.errors import Refusal


class MeteringError(Refusal, ValueError):
    """Refused; one line: what was wrong, where, what to do."""
