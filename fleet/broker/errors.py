"""The one error of this package."""

from fleet.errors import Refusal


class BrokerError(Refusal):
    """The broker cannot start or be configured; the text is one line: what, where, what next."""
