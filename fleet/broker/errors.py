"""The one error of this package."""


class BrokerError(Exception):
    """The broker cannot start or be configured; the text is one line: what, where, what next."""
