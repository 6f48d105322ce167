"""What a test's report says beside pass or fail: rig, place, commit, requirements in JUnit and
HTML, and what console, modem, the rig's servers, the fleet and the meter logged meanwhile.
"""

import base64
import functools
import subprocess
from collections.abc import Generator
from html import escape
from pathlib import Path
from typing import Any

import pytest

from hil.faults import RigFault
from hil.plot import current_svg
from hil.pytest_plugin.held import HOLDING, Logs
from hil.pytest_plugin.planning import RIG, has_place, place_of
from hil.pytest_plugin.wanted import wanted

_LONGEST = 200_000  # characters of a log: what a failing loop may print would drown a browser


@functools.cache
def commit(folder: Path) -> str:
    """The commit that is tested, with + where files differ from it; "unknown" outside git."""
    shown = subprocess.run(
        ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return shown.stdout.strip() or "unknown"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Each test's properties; they go with its reports to JUnit, also from workers."""
    rig = session.config.stash.get(RIG, None)
    if rig is None:
        return
    for item in session.items:
        wish = wanted(item)
        found = [("rig", rig.name), ("commit", commit(session.config.rootpath))]
        if has_place(item):
            found += [("place", place_of(item)), ("node", wish.node)]
        item.user_properties += found + [("requirement", each) for each in wish.requirements]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    """Hang the logs on the report of the test, or of a setup that failed."""
    report = yield
    if (call.when == "call" or (call.when == "setup" and report.failed)) and (
        (holding := item.stash.get(HOLDING, None)) and holding.since is not None
    ):
        try:
            logs = holding.place.logs(holding.since)
        except RigFault as e:
            report.sections.append(("logs", f"none: {e}"))
        else:
            report.extras = [*getattr(report, "extras", []), *_extras(logs, item.name)]
            if report.failed:
                report.sections += [
                    (f"{name} at the end", text[-2000:]) for name, text in _texts(logs)
                ]
    return report


def _texts(logs: Logs) -> list[tuple[str, str]]:
    named = [
        ("Console", logs.console), ("AT", logs.at), ("MQTT", logs.mqtt), ("CoAP", logs.coap),
        ("Fleet", logs.fleet),
    ]  # fmt: skip
    return [(name, text) for name, text in named if text]


def _extras(logs: Logs, title: str) -> list[dict[str, str | None]]:
    """As pytest-html takes them; plain data, since workers send them."""
    try:
        from pytest_html import extras
    except ImportError:
        return []
    found = [extras.text(_cut(text), name) for name, text in _texts(logs)]
    if logs.current:
        picture = current_svg(logs.current, f"Current, {title}").encode()
        found.append(extras.svg(base64.b64encode(picture).decode(), "Current"))
    return found


def _cut(text: str) -> str:
    left = len(text) - _LONGEST
    return text if left <= 0 else f"({left} characters before this)\n{text[-_LONGEST:]}"


def property_of(report: pytest.TestReport, name: str) -> list[str]:
    """All values of one property."""
    return [str(value) for key, value in report.user_properties if key == name]


@pytest.hookimpl(optionalhook=True)
def pytest_html_report_title(report: Any) -> None:
    """The page's heading."""
    report.title = "Kapok: hardware in the loop"


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_header(cells: list[str]) -> None:
    """Where, and what it proves, beside the test's name."""
    cells[2:2] = [
        '<th class="sortable" data-column-type="place">Place</th>',
        '<th class="sortable" data-column-type="requirement">Requirement</th>',
    ]


@pytest.hookimpl(optionalhook=True)
def pytest_html_results_table_row(report: Any, cells: list[str]) -> None:
    """The row of one report; of one of a collection too, which has no properties."""
    place, ids = ("", "")
    if isinstance(report, pytest.TestReport):
        place = ", ".join(property_of(report, "place"))
        ids = ", ".join(property_of(report, "requirement"))
    cells[2:2] = [
        f'<td class="col-place">{escape(place)}</td>',
        f'<td class="col-requirement">{escape(ids)}</td>',
    ]
