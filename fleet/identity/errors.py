"""The one error of this package."""

from fleet.errors import Refusal


class IdentityError(Refusal):
    """A key, request or certificate was refused; the text is one line: what, where, what next."""
