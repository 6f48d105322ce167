"""Before the first test: the rig is read, tests are refused, skipped, or given a place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hil.inventory import Rig, RigFileError, load, unknown_features
from hil.pytest_plugin import requirements
from hil.pytest_plugin.assignment import Ask, assign, lacking
from hil.pytest_plugin.wanted import Wanted, wanted

RIG = pytest.StashKey[Rig]()
REQUIREMENTS = pytest.StashKey[Mapping[str, str]]()
MEASURED = pytest.StashKey[frozenset[str]]()
_PLACE = pytest.StashKey[str]()
_REFUSED = pytest.StashKey[str]()
# A test that asks for none of them runs without a place.
_OF_A_PLACE = frozenset({"place", "node", "modem", "stimulus", "power", "current"})


def rig_of(config: pytest.Config) -> Rig:
    """The rig of this run; UsageError without --rig."""
    rig = config.stash.get(RIG, None)
    if rig is None:
        raise pytest.UsageError("name a rig: --rig hil/rigs/virtual.yaml")
    return rig


def place_of(item: pytest.Item) -> str:
    """Name of the place at which a test runs."""
    return item.stash[_PLACE]


def has_place(item: pytest.Item) -> bool:
    """Whether a test runs at a place at all."""
    return _PLACE in item.stash


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the rig's file and the requirements; UsageError says what is wrong with either."""
    if not config.getoption("--rig"):
        return
    path = config.getoption("--requirements")
    try:
        config.stash[RIG] = load(Path(config.getoption("--rig"))).only(config.getoption("--place"))
        file = Path(path) if path else requirements.DEFAULT
        config.stash[REQUIREMENTS] = requirements.load(file)
        config.stash[MEASURED] = requirements.measured(file)
    except RigFileError as e:
        raise pytest.UsageError(str(e)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """No tests of a rig without a rig: a run that skips them all would look green."""
    if not session.config.getoption("collectonly"):
        _refuse_hands(session.config, rig_of(session.config))


def _refuse_hands(config: pytest.Config, rig: Rig) -> None:
    """UsageError where somebody is to switch a place's power and cannot be asked: a worker of
    xdist has no terminal, and without -s no test has one.
    """
    if config.getoption("capture") == "no" and not config.getoption("numprocesses", None):
        return
    targets = rig.environment.config.get_targets()
    for place in rig.places:
        if "ManualPowerDriver" in str(targets[place.name].get("drivers")):
            raise pytest.UsageError(
                f"{rig.path}: {place.name}: ManualPowerDriver asks somebody: run with -s, -n 0"
            )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """First of all: what xdist sends to one worker goes by the groups that are set here."""
    rig = config.stash.get(RIG, None)
    if rig is None:
        return
    planned = [(item, wanted(item)) for item in items]
    placed: list[tuple[pytest.Item, Ask]] = []
    for item, wish in planned:
        if refused := (
            requirements.refusal(wish.requirements, config.stash[REQUIREMENTS])
            or unknown_features(wish.needs)
        ):
            item.stash[_REFUSED] = refused
            continue
        ask = Ask(item.nodeid.split("::")[0], wish.node, wish.needs)
        reason = _skip(wish, config, rig) or (
            lacking(ask, rig.places) if _local(item, wish) else None
        )
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
        elif _at_a_place(item):
            placed.append((item, ask))
    names = assign([ask for _, ask in placed], list(rig.places), _workers(config))
    for (item, _), name in zip(placed, names, strict=True):
        if name is not None:
            item.stash[_PLACE] = name
            if config.pluginmanager.hasplugin("xdist"):
                item.add_marker(pytest.mark.xdist_group(name))
    _sort(rig, items, dict(planned))


def _skip(wish: Wanted, config: pytest.Config, rig: Rig) -> str | None:
    # Hours of a virtual board are seconds.
    if not wish.soak or config.getoption("--soak"):
        return None
    virtual = all("virtual" in place.features for place in rig.places)
    return None if virtual else "takes hours: --soak"


def _at_a_place(item: pytest.Item) -> bool:
    return not _OF_A_PLACE.isdisjoint(getattr(item, "fixturenames", ()))


def _local(item: pytest.Item, wish: Wanted) -> bool:
    return _at_a_place(item) or bool(wish.needs)


def _workers(config: pytest.Config) -> int:
    workerinput: dict[str, Any] = getattr(config, "workerinput", {})
    return int(workerinput.get("workercount", 1))


def _sort(rig: Rig, items: list[pytest.Item], wishes: dict[pytest.Item, Wanted]) -> None:
    """By place and node type, else as they were: a place is set up once for each type."""
    order = {place.name: n for n, place in enumerate(rig.places)}
    items.sort(
        key=lambda item: (
            (order[place_of(item)], wishes[item].node) if has_place(item) else (len(order), "")
        )
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that proves or needs nothing known fails, whatever it does."""
    if refused := item.stash.get(_REFUSED, None):
        pytest.fail(refused, pytrace=False)
