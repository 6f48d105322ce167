"""The one error of this package."""


class ControlError(ValueError):
    """Refused; the text is one line: what was wrong and what to do."""
