"""The one error of this package."""


class IdentityError(Exception):
    """A key, request or certificate was refused; the text is one line: what, where, what next."""
