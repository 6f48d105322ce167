"""A test that met a fault of the rig is run once more, and reported as retried; one that met a
fault of the node never is. Where a place is broken, what follows there is skipped.
"""

from collections.abc import Generator
from typing import cast

import pytest
from _pytest.runner import runtestprotocol

from hil.pytest_plugin.faults import RigFault, of_call
from hil.pytest_plugin.held import HOLDING
from hil.pytest_plugin.planning import RIG, has_place, place_of

RETRIED = "rerun"  # an outcome of its own: pytest-html knows it by this name
_BROKEN = pytest.StashKey[dict[str, str]]()


class PhaseReport(pytest.TestReport):
    """A report of pytest, with what this plugin adds to it."""

    rig_fault: str | None
    rerun: int


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, PhaseReport, PhaseReport]:
    """Say whose fault a failure is; the property is with the test, for the reports to come."""
    report = yield
    report.rig_fault = of_call(call) if report.failed else None
    if report.failed:
        fault = ("fault", "rig" if report.rig_fault else "node")
        item.user_properties.append(fault)
        report.user_properties.append(fault)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test; once more after a fault of the rig."""
    if RIG not in item.config.stash:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = _run(item, nextitem)
    faulty = _faulty(reports)
    if faulty is not None and _mended(item):
        faulty.outcome = RETRIED  # type: ignore[assignment]
        faulty.rerun = 0
        item.ihook.pytest_runtest_logreport(report=faulty)
        _forget(item)
        item.user_properties.append(("retried", faulty.rig_fault or ""))
        reports = _run(item, nextitem)
        faulty = _faulty(reports)
    _note_broken(item, faulty)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _run(item: pytest.Item, nextitem: pytest.Item | None) -> list[PhaseReport]:
    return cast("list[PhaseReport]", runtestprotocol(item, nextitem=nextitem, log=False))


def _faulty(reports: list[PhaseReport]) -> PhaseReport | None:
    """The report of the rig's fault, where no phase before it failed by the node."""
    failed = next((report for report in reports if report.failed), None)
    return failed if failed is not None and failed.rig_fault else None


def _mended(item: pytest.Item) -> bool:
    """Whether the place can be tried again."""
    holding = item.stash.get(HOLDING, None)
    if holding is None:
        return True
    try:
        holding.place.recover()
    except RigFault:
        return False
    return True


def _forget(item: pytest.Item) -> None:
    """What the failed attempt left: its logs, and fixtures that would raise the same again."""
    if HOLDING in item.stash:
        del item.stash[HOLDING]
    item._report_sections.clear()
    item.user_properties[:] = [each for each in item.user_properties if each[0] != "fault"]
    if not isinstance(item, pytest.Function):
        return
    item._initrequest()
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        for definition in definitions:
            if definition.cached_result and definition.cached_result[2] is not None:
                definition.finish(item._request)  # type: ignore[arg-type]


def _note_broken(item: pytest.Item, faulty: PhaseReport | None) -> None:
    if not has_place(item):
        return
    holding = item.stash.get(HOLDING, None)
    name = holding.place.name if holding is not None else place_of(item)
    if holding is not None and holding.place.broken is not None:
        reason = " ".join(str(holding.place.broken).split())
    elif faulty is not None:
        reason = faulty.rig_fault or ""
    else:
        return
    broken = item.config.stash.setdefault(_BROKEN, {})
    broken[place_of(item)] = f"{name} is broken since {item.name}: {reason}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Nothing runs at a broken place: it would fail by what another test did."""
    if has_place(item):
        broken = item.config.stash.get(_BROKEN, {}).get(place_of(item))
        if broken is not None:
            pytest.skip(broken)


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Retried tests have a letter and a count of their own; a rig's fault is named as such."""
    if report.outcome == RETRIED:
        return "retried", "R", ("RETRIED (RIG FAULT)", {"yellow": True})
    if report.failed and getattr(report, "rig_fault", None):
        category = "failed" if getattr(report, "when", "") == "call" else "error"
        return category, "G", ("RIG FAULT", {"red": True})
    return None
