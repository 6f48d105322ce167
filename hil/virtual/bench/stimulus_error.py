"""What a stimulus may not be, and the numbers in one."""

from typing import Any

from fleet.errors import Refusal


class StimulusError(Refusal, ValueError):
    """There is no such channel, or not with that; the text is one line."""


def whole(
    asked: dict[str, Any], key: str, least: int, most: int, default: int | None = None
) -> int:
    """A whole number of JSON within limits; StimulusError."""
    value = asked.get(key, default)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise StimulusError(f"{key} cannot be {value!r}: a whole number from {least} to {most}")


def flag(asked: dict[str, Any], key: str, default: bool) -> bool:
    """true or false; StimulusError."""
    value = asked.get(key, default)
    if isinstance(value, bool):
        return value
    raise StimulusError(f"{key} cannot be {value!r}: true or false")
