"""What alarms refuse."""

from fleet.errors import Refusal


class AlarmError(Refusal, ValueError):
    """Refused; the text is one line: what was wrong and what to do."""


class PackError(AlarmError):
    """A pack of rules is not as it must be; the text says which key of which rule."""


class ChannelError(AlarmError):
    """A channel cannot be made or used; the text says why."""
