"""Tests of one place go to one worker: xdist's `--dist loadgroup` told, whatever pytest it meets.

xdist 3.8.0 passes a group on as a suffix of `item._nodeid`, which pytest 9.2 reads no more, and
then spreads all tests over all workers without a word (pytest-xdist issue 1386).
"""

from typing import Any

import pytest

from hil.pytest_plugin.planning import has_place, place_of

_NAMED = pytest.StashKey[Any]()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """`-n 2` alone means groups: any other way two workers would want the same place."""
    option = config.option
    if config.getoption("--rig") and getattr(option, "numprocesses", None) and option.dist == "no":
        option.dist = "loadgroup"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each worker how tests are spread: it reads the command line for itself."""
    node.workerinput["hil_groups"] = node.config.option.dist == "loadgroup"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Behind xdist's own, in a worker of a run by groups."""
    if not getattr(config, "workerinput", {}).get("hil_groups", False):
        return
    for item in items:
        if not has_place(item) or item.nodeid.endswith(f"@{place_of(item)}"):
            continue
        structured = getattr(item, "_id", None)
        if structured is not None:
            item.stash[_NAMED] = structured
            item._id = type(structured).parse(f"{item.nodeid}@{place_of(item)}")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Behind xdist's own, which has told the names to the scheduler: a test's name in reports is
    its own, whatever place it gets.
    """
    for item in session.items:
        if _NAMED in item.stash:
            item._id = item.stash[_NAMED]
