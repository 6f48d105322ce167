"""After the last test: what is proved and what is not, whose faults there were, and how long it
took.
"""

import time
from collections import defaultdict
from html import escape
from typing import Any

import pytest

from hil.pytest_plugin.collected import collected
from hil.pytest_plugin.held import MADE_ANEW
from hil.pytest_plugin.planning import MEASURED, REQUIREMENTS, RIG
from hil.pytest_plugin.report import commit, property_of
from hil.pytest_plugin.retry import RETRIED

NAME = "kapok-hil-summary"
_FEW = 12
# Of the whole suite on the virtual rig with two workers on two cores (docs/hil.md).
USUAL_S = 480.0


class Summary:
    """Outcomes of a run, by test and by requirement; one for a run, not for each worker."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._known = config.stash[REQUIREMENTS]
        rig, self._within_s = config.stash[RIG], config.getoption("--within")
        self._virtual = {place.name for place in rig.places if "virtual" in place.features}
        self._all_virtual = len(self._virtual) == len(rig.places)
        self._measured = config.stash[MEASURED]
        self._computed: set[str] = set()  # requirements that ask for a measurement, and got none
        self._began = time.monotonic()
        self.took_s = 0.0
        self._outcomes: dict[str, dict[str, str]] = defaultdict(dict)
        self.retried: list[tuple[str, str]] = []
        self.made_anew: list[tuple[str, str]] = []
        self.faults: dict[str, list[str]] = {"rig": [], "node": []}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in one phase of one test."""
        fault = getattr(report, "rig_fault", None)
        if report.outcome == RETRIED:
            self.retried.append((report.nodeid, fault or ""))
            return
        if report.failed:
            whose = "rig" if fault else "node"
            self.faults[whose].append(f"{report.nodeid}: {fault}" if fault else report.nodeid)
        if report.when == "setup":
            self.made_anew += [(report.nodeid, why) for why in property_of(report, MADE_ANEW)]
        for each in property_of(report, "requirement"):
            before = self._outcomes[each].get(report.nodeid, "passed")
            worst = before if before != "passed" else report.outcome
            self._outcomes[each][report.nodeid] = worst
            if not self._virtual.isdisjoint(property_of(report, "place")):
                self._computed |= {each} & self._measured

    def verdicts(self) -> dict[str, str]:
        """Of each requirement: proved (each test of it passed), computed (so, but by figures
        instead of a measurement), failed, skipped (at least in part), in part (some of its tests
        passed, and others were not run), or not tested in this run.
        """
        found = {}
        part = self._in_part()
        for each in self._known:
            outcomes = set(self._outcomes.get(each, {}).values())
            if not outcomes:
                found[each] = "not tested"
            elif "failed" in outcomes:
                found[each] = "failed"
            elif "skipped" in outcomes:
                found[each] = "skipped"
            elif each in part:
                found[each] = "in part"
            else:
                found[each] = "computed" if each in self._computed else "proved"
        return found

    def _in_part(self) -> set[str]:
        """Requirements of tests that were not run, or may not have been."""
        known = collected(self._config)
        if not known:
            return set(self._known)
        return {
            each for test, ids in known.items() for each in ids if test not in self._outcomes[each]
        }

    def lines(self) -> list[str]:
        """For a terminal."""
        by_verdict = defaultdict(list)
        for each, verdict in self.verdicts().items():
            by_verdict[verdict].append(each)
        found = [f"requirements: {len(by_verdict.pop('proved', []))} proved"]
        found += [f"  {verdict}: {_listed(ids)}" for verdict, ids in sorted(by_verdict.items())]
        found += [f"retried, by a fault of the rig: {test}: {why}" for test, why in self.retried]
        found += [
            f"made anew, by a fault of the node before it: {test}: {why}"
            for test, why in self.made_anew
        ]
        found += [f"fault of the {whose}: {each}" for whose in self.faults
                  for each in self.faults[whose]]  # fmt: skip
        return [*found, self._time()]

    @property
    def late(self) -> bool:
        """Whether it took longer than --within allows."""
        return self._within_s is not None and self.took_s > self._within_s

    def _time(self) -> str:
        took = f"time: {self.took_s:.0f} s"
        if self.late:
            return f"{took}: FAILED, --within allows {self._within_s:g} s"
        if self._within_s is None and self._all_virtual and self.took_s > USUAL_S:
            return f"{took}: warning, {USUAL_S:.0f} s are usual on two cores"
        return took

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Before the reports, which tell it; a run that is late has failed."""
        self.took_s = time.monotonic() - self._began
        if self.late and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def table(self) -> str:
        """For the HTML report."""
        rows = "".join(
            f"<tr><td>{each}</td><td>{escape(self._known[each])}</td><td>{verdict}</td></tr>"
            for each, verdict in self.verdicts().items()
        )
        heads = "<tr><th>Requirement</th><th>Text</th><th>In this run</th></tr>"
        return f"<details><summary>Requirements</summary><table>{heads}{rows}</table></details>"

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Behind pytest's own."""
        config = terminalreporter.config
        rig = config.stash[RIG]
        terminalreporter.section(f"rig {rig.name}, commit {commit(config.rootpath)}")
        for line in self.lines():
            terminalreporter.line(line)

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """Above the results."""
        notes = "".join(f"<p>{escape(line)}</p>" for line in self.lines() if line[0] != " ")
        prefix.append(notes + self.table())


def _listed(ids: list[str]) -> str:
    """All of few; of many so many that the areas can be guessed, and how many."""
    return ", ".join(ids) if len(ids) <= _FEW else f"{len(ids)}, as {', '.join(ids[:3])}"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Behind the planning's, which reads the rig."""
    if RIG not in config.stash or hasattr(config, "workerinput"):
        return
    config.pluginmanager.register(Summary(config), NAME)
    _describe(config)


def _describe(config: pytest.Config) -> None:
    """Rig and commit, in the HTML report's table and the JUnit file's testsuite."""
    from _pytest.junitxml import xml_key

    found = {"Rig": str(config.stash[RIG].path), "Commit": commit(config.rootpath)}
    try:
        from pytest_metadata.plugin import metadata_key
    except ImportError:
        pass
    else:
        config.stash[metadata_key].update(found)
    if (junit := config.stash.get(xml_key, None)) is not None:
        for name, value in found.items():
            junit.add_global_property(name.lower(), value)
