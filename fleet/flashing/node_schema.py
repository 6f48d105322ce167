"""The firmware's own check of a configuration, so that what passes here passes on the node."""

import builtins
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from fleet.paths import firmware_dir


class _ConfigError(ValueError):
    """Stands for the firmware's, which cannot be imported: the package is the node's."""


def _import(name: str, *rest: object) -> SimpleNamespace:
    if name != "node.errors":
        raise ImportError(f"firmware/node/schema.py imports {name}: only node.errors is expected")
    return SimpleNamespace(ConfigError=_ConfigError)


def fault(values: Mapping[str, Any]) -> str:
    """Why a node would refuse this configuration, "" when it would not."""
    source = (firmware_dir() / "node" / "schema.py").read_text(encoding="utf-8")
    scope: dict[str, Any] = {
        "__name__": "node.schema",
        "__builtins__": {**vars(builtins), "__import__": _import},
    }
    exec(compile(source, "node/schema.py", "exec"), scope)  # noqa: S102  it ships with us
    try:
        scope["check"](dict(values))
    except _ConfigError as e:
        return str(e)
    return ""
