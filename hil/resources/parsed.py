"""Lists and tables of a resource: labgrid's coordinator knows texts and numbers only."""

import json
from typing import Any


def parsed(value: Any) -> Any:
    """As it is; as JSON where it came as text, from an exporter."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value  # the validator says what was wrong
