"""The firmware's own check of a configuration, so that what passes here passes on the node."""

from collections.abc import Mapping
from typing import Any

from fleet import schema


def fault(values: Mapping[str, Any]) -> str:
    """Why a node would refuse this configuration, "" when it would not."""
    try:
        schema.check(dict(values))
    except schema.SchemaError as e:
        return str(e)
    return ""
