"""What a test wants of a rig, read from its markers."""

from typing import Any, NamedTuple

import pytest

DEFAULT_NODE = "gas-meter"
DEFAULT_START = "online"


class Wanted(NamedTuple):
    """One test's wishes. `config` is what the node's configuration has beside its type's."""

    node: str
    config: dict[str, Any]
    start: str
    needs: frozenset[str]
    requirements: tuple[str, ...]
    soak: bool


def wanted(item: pytest.Item) -> Wanted:
    """Of one test; the nearest `node` and `start` count, all `needs` and `requirement`s do.
    UsageError for markers without what they need.
    """
    node, start = item.get_closest_marker("node"), item.get_closest_marker("start")
    config = dict(node.kwargs.get("config", {})) if node else {}
    return Wanted(
        _only(item, node, DEFAULT_NODE),
        config,
        _only(item, start, DEFAULT_START),
        frozenset(_all(item, "needs")),
        tuple(_all(item, "requirement")),
        item.get_closest_marker("soak") is not None,
    )


def _only(item: pytest.Item, marker: pytest.Mark | None, default: str) -> str:
    if marker is None or not (marker.args or marker.name == "start"):
        return default
    if len(marker.args) != 1 or not isinstance(marker.args[0], str):
        raise pytest.UsageError(f'{item.nodeid}: {marker.name} takes one name: {marker.name}("…")')
    return marker.args[0]


def _all(item: pytest.Item, name: str) -> list[str]:
    found: list[str] = []
    for marker in item.iter_markers(name):
        if not marker.args or not all(isinstance(each, str) for each in marker.args):
            raise pytest.UsageError(f'{item.nodeid}: {name} takes names: {name}("…")')
        found += [each for each in marker.args if each not in found]
    return found
