"""Lists in a resource: labgrid's coordinator knows texts and numbers only."""

from typing import Any


def names(value: Any) -> Any:
    """A list as it is; one that came from a coordinator, joined by commas, apart again."""
    return value.split(",") if isinstance(value, str) else value
