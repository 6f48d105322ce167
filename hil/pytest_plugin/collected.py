"""All tests that a run has found, chosen or not: what only some of them show is not proved.

Each worker of xdist finds them all, and tells the controller at its end.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hil.pytest_plugin.planning import RIG
from hil.pytest_plugin.wanted import wanted

_COLLECTED = pytest.StashKey[dict[str, list[str]]]()
_SENT = "hil_collected"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Before -k, -m and their like leave any out."""
    if RIG in config.stash:
        config.stash[_COLLECTED] = {item.nodeid: [*wanted(item).requirements] for item in items}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_SENT] = session.config.stash.get(_COLLECTED, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In the controller."""
    told = getattr(node, "workeroutput", {}).get(_SENT, {})
    node.config.stash.setdefault(_COLLECTED, {}).update(told)


def collected(config: pytest.Config) -> Mapping[str, list[str]]:
    """Requirements by test; empty where nobody could know of all tests: files or single tests
    were named, only those that failed last were looked at, or no worker came to its end.
    """
    here = config.invocation_params.dir
    narrowed = config.getoption("lf", False) or not all(
        Path(here, named).is_dir() for named in config.args
    )
    found: dict[str, list[str]] = config.stash.get(_COLLECTED, {})
    return {} if narrowed else found
