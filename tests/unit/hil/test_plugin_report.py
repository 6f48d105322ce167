"""Reports of a rig's run: JUnit properties, HTML with logs and a picture, workers of xdist."""

import json
import re
from collections import defaultdict
from collections.abc import Callable
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hil_rig import outcomes, prepare, run, run_workers

from hil.plot import charge_uc, current_svg, mean_ua
from hil.pytest_plugin import summary

pytest_plugins = "pytester"

TESTS = """
import os, pytest
from hil.faults import RigFault
pytestmark = pytest.mark.requirement("K-REG-01")
def test_meter(node):
    node.use()
    assert node.name.startswith("meter")
@pytest.mark.node("lamppost")
@pytest.mark.requirement("K-LMP-01")
def test_lamp(node):
    if not node.recovered:
        raise RigFault("lamp-1: the port vanished")
    node.use()
@pytest.mark.node("gateway")
def test_gateway(node):
    node.use()
    assert False
"""


def _parsed(path: Path) -> ElementTree.Element:
    return ElementTree.fromstring(path.read_bytes())  # noqa: S314  we made it


def _picture(text: str | bytes) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314  we made it


def _properties(case: ElementTree.Element) -> dict[str, list[str]]:
    found = defaultdict(list)
    for each in case.iter("property"):
        found[each.get("name", "")].append(each.get("value", ""))
    return found


def test_junit_has_rig_place_commit_requirement_and_fault(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(pytester, monkeypatch, TESTS)
    run(pytester, "--junit-xml", "junit.xml")
    tree = _parsed(pytester.path / "junit.xml")
    cases = {case.get("name"): _properties(case) for case in tree.iter("testcase")}
    assert cases["test_meter"] == {
        "rig": ["rig"], "commit": ["unknown"], "place": ["meter-1"], "node": ["gas-meter"],
        "requirement": ["K-REG-01"],
    }  # fmt: skip
    assert cases["test_lamp"]["requirement"] == ["K-LMP-01", "K-REG-01"]
    assert cases["test_lamp"]["retried"] == ["lamp-1: the port vanished"]
    assert "fault" not in cases["test_lamp"]
    assert cases["test_gateway"]["fault"] == ["node"]
    suite = tree.find(".//testsuite/properties")
    assert suite is not None
    assert _properties(suite) == {"rig": ["rig.yaml"], "commit": ["unknown"]}


def test_a_node_that_was_made_anew_is_told_in_each_report(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(pytester, monkeypatch, """
import pytest
from hil.pytest_plugin.held import made_anew
@pytest.fixture
def worn(request, node):
    made_anew(request.node, "it did\\nnot boot")
@pytest.mark.requirement("K-REG-01")
def test_it(worn): pass
""")  # fmt: skip
    result = run(pytester, "--junit-xml", "junit.xml", "--html", "report.html")
    assert outcomes(result) == {"passed": 1}
    told = "made anew, by a fault of the node before it: *test_it: it did not boot"
    result.stdout.fnmatch_lines([told])
    (case,) = _parsed(pytester.path / "junit.xml").iter("testcase")
    assert _properties(case)["made-anew"] == ["it did not boot"]
    assert "made anew, by a fault of the node" in (pytester.path / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "usual_s", "code", "told"),
    [
        (("--within", "0"), 480, 1, "time: ? s: FAILED, --within allows 0 s"),
        (("--within", "999"), 0, 0, "time: ? s"),
        ((), 480, 0, "time: ? s"),
        ((), 0, 0, "time: ? s: warning, 0 s are usual on two cores"),
    ],
)
def test_a_run_tells_its_time_and_fails_by_it_where_asked(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    usual_s: int,
    code: int,
    told: str,
) -> None:
    prepare(pytester, monkeypatch, TESTS.partition("@pytest.mark.node")[0])
    file = pytester.path / "rig.yaml"
    file.write_text(file.read_text().replace("features: [", "features: [virtual, "))
    monkeypatch.setattr(summary, "USUAL_S", usual_s)
    result = run(pytester, *options)
    assert (outcomes(result), result.ret) == ({"passed": 1}, code)
    result.stdout.fnmatch_lines([told])


SHOWS = """
import pytest
@pytest.mark.requirement("K-REG-01")
def test_one(node): pass
@pytest.mark.requirement("K-REG-01", "K-LMP-01")
def test_two(node): pass
@pytest.mark.requirement("K-PWR-01")
def test_draws(node): pass
"""


@pytest.mark.parametrize(
    ("runs", "options", "told"),
    [
        (run, (), ["requirements: 3 proved"]),
        (run, ("-k", "one"), ["requirements: 0 proved", "  in part: K-REG-01"]),
        (run, ("-k", "one or two"), ["requirements: 2 proved", "  not tested: K-PWR-01"]),
        (run, ("test_shows.py",), ["requirements: 0 proved", "  in part: K-REG-01, K-PWR*"]),
        (run, ("--deselect", "test_shows.py::test_two"), ["requirements: 1 proved", "  in part*"]),
        (run_workers, (), ["requirements: 3 proved"]),
        (run_workers, ("-k", "one"), ["requirements: 0 proved", "  in part: K-REG-01"]),
    ],
)  # fmt: skip
def test_what_some_tests_show_is_not_proved_by_them(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    runs: Callable[..., pytest.RunResult],
    options: tuple[str, ...],
    told: list[str],
) -> None:
    prepare(pytester, monkeypatch, "")
    pytester.makepyfile(test_shows=SHOWS)
    runs(pytester, *options).stdout.fnmatch_lines(told)


def test_what_a_run_did_not_come_to_is_not_proved(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(pytester, monkeypatch, "")
    dead = "@pytest.mark.requirement('K-PWR-01')\ndef test_dead(node): assert False\n"
    pytester.makepyfile(test_shows=SHOWS.replace("import pytest\n", "import pytest\n" + dead))
    run(pytester, "-x").stdout.fnmatch_lines(["requirements: 0 proved", "  failed: K-PWR-01"])


@pytest.mark.parametrize(
    ("virtual", "told"), [("", "requirements: 3 proved"), ("virtual, ", "  computed: K-PWR-01")]
)
def test_what_a_virtual_rig_computes_is_not_proved(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, virtual: str, told: str
) -> None:
    prepare(pytester, monkeypatch, "")
    pytester.makepyfile(test_shows=SHOWS)
    rig, known = pytester.path / "rig.yaml", pytester.path / "requirements.toml"
    rig.write_text(rig.read_text().replace("features: [", f"features: [{virtual}"))
    known.write_text(known.read_text() + '[measured]\nids = ["K-PWR-01"]\n')
    run(pytester).stdout.fnmatch_lines([told])


def test_two_workers_share_no_place_and_one_report_has_all(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = "".join(
        f"""
@pytest.mark.node("{node}")
def test_{n}(node, record_property):
    node.use()
    record_property("worker", os.environ["PYTEST_XDIST_WORKER"])
"""
        for n, node in enumerate(["gas-meter", "lamppost", "gas-meter", "gateway"] * 3)
    )
    prepare(pytester, monkeypatch, TESTS)
    pytester.makepyfile(test_more=TESTS.partition("def")[0] + more)
    result = run_workers(pytester, "--html", "out/report.html", "--junit-xml", "junit.xml")
    assert outcomes(result) == {"passed": 14, "failed": 1, "retried": 1}
    result.stdout.fnmatch_lines([
        "requirements: 1 proved", "  failed: K-REG-01", "  not tested: K-PWR-01",
        "retried, by a fault of the rig: *test_lamp: lamp-1: the port vanished",
        "fault of the node: *test_gateway",
    ])  # fmt: skip
    workers: dict[str, set[str]] = defaultdict(set)
    for case in _parsed(pytester.path / "junit.xml").iter("testcase"):
        found = _properties(case)
        workers[found["place"][0]] |= set(found["worker"])
    assert set(workers) >= {"meter-1", "lamp-1"}
    assert all(len(found) <= 1 for found in workers.values())
    _check_page(pytester.path / "out")


def _check_page(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    blob = re.search(r'data-jsonblob="([^"]*)"', page)
    assert blob is not None
    data = json.loads(unescape(blob.group(1)))
    assert data["environment"]["Rig"] == "rig.yaml"
    tests = {name.split("::")[1]: rows for name, rows in data["tests"].items()}
    assert sorted(row["result"] for row in tests["test_lamp"]) == ["Passed", "Rerun"]
    (row,) = tests["test_meter"]
    assert 'col-place">meter-' in "".join(row["resultsTableRow"])
    assert "K-REG-01" in "".join(row["resultsTableRow"])
    named = {extra["name"]: extra["content"] for extra in row["extras"]}
    assert set(named) == {"Console", "AT", "MQTT", "Current"}
    assert re.fullmatch("console of meter-[12]\n", (folder / named["Console"]).read_text())
    assert (folder / named["AT"]).read_text().startswith("AT+CEREG?")
    picture = _picture((folder / named["Current"]).read_bytes())
    assert picture.tag.endswith("svg")
    assert "A lamp &lt;shines&gt;" in page


def test_a_failed_tests_report_ends_with_what_the_console_said(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(pytester, monkeypatch, TESTS)
    run(pytester).stdout.fnmatch_lines(["*- Console at the end -*", "console of lamp-1"])


def test_the_picture_of_a_current_keeps_each_peak() -> None:
    steps = [(n * 1000, 9 if n != 77_777 else 500_000) for n in range(100_000)]
    picture = current_svg(steps, "a < b")
    assert len(picture) < 40_000
    assert "a &lt; b" in picture
    highest = min(float(y) for y in re.findall(r"V([0-9.]+)", picture))
    assert highest < 50  # of 260: half an ampere is near the top


def test_a_picture_of_nothing_is_a_picture() -> None:
    assert _picture(current_svg([], "nothing")).tag.endswith("svg")
    assert _picture(current_svg([(5, 3)], "one")).tag.endswith("svg")


def test_charge_and_mean_of_steps() -> None:
    steps = [(0, 10), (1_000_000, 1000), (2_000_000, 10)]
    assert charge_uc(steps, 0, 3_000_000) == 1020
    assert mean_ua(steps, 500_000, 1_500_000) == 505
    assert charge_uc([], 0, 10) == 0
    assert mean_ua(steps, 5, 5) == 0


def test_without_our_word_to_xdist_two_workers_fight_for_a_place(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sabotage. When this fails xdist knows pytest's new names, and groups.py may go."""
    tests = "".join(
        f"""
def test_{n}(node, record_property):
    record_property("worker", os.environ["PYTEST_XDIST_WORKER"])
"""
        for n in range(12)
    )
    head = "import os, pytest\npytestmark = pytest.mark.requirement('K-REG-01')\n"
    prepare(pytester, monkeypatch, head + tests)
    run_workers(pytester, "-p", "no:hil.pytest_plugin.groups", "--junit-xml", "junit.xml")
    cases = [_properties(case) for case in _parsed(pytester.path / "junit.xml").iter("testcase")]
    assert {place for case in cases for place in case["place"]} == {"meter-1"}
    assert {worker for case in cases for worker in case["worker"]} == {"gw0", "gw1"}
