"""Which tests of a rig run, where, and which are refused."""

import re
from pathlib import Path

import pytest
from hil_rig import PLUGIN, RIG_OPTIONS, outcomes, prepare, run
from hypothesis import given
from hypothesis import strategies as st

from hil import inventory
from hil.inventory import Place
from hil.pytest_plugin import requirements
from hil.pytest_plugin.assignment import Ask, assign, lacking

pytest_plugins = "pytester"

ROOT = Path(__file__).parents[3]
NONE: frozenset[str] = frozenset()


def _places() -> list[Place]:
    meter, lamp = frozenset({"power", "stimulus"}), frozenset({"power"})
    return [
        Place("meter-1", "b", ("gas-meter",), meter, {}),
        Place("meter-2", "b", ("gas-meter",), lamp, {}),
        Place("lamp-1", "c", ("lamppost", "gateway"), lamp, {}),
    ]


def test_tests_without_a_known_requirement_are_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(pytester, monkeypatch, """
import pytest
def test_none(node): pass
@pytest.mark.requirement("K-REG-99")
def test_unknown(node): pass
@pytest.mark.requirement("K-REG-01")
@pytest.mark.requirement("K-PWR-01")
def test_good(node): pass
""")  # fmt: skip
    result = run(pytester)
    assert outcomes(result) == {"passed": 1, "errors": 2}
    result.stdout.fnmatch_lines_random([
        "it names no requirement: add @pytest.mark.requirement*",
        "unknown requirement K-REG-99: add it to hil/requirements.toml",
        "requirements: 2 proved",
        "  not tested: K-LMP-01",
    ])  # fmt: skip


def test_a_feature_that_no_place_can_ever_have_is_refused_and_not_skipped_for(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(pytester, monkeypatch, """
import pytest
@pytest.mark.requirement("K-REG-01")
@pytest.mark.needs("curent-meter", "power")
def test_slip(node): pass
""")  # fmt: skip
    result = run(pytester)
    assert outcomes(result) == {"errors": 1}
    result.stdout.fnmatch_lines_random(["unknown feature curent-meter: power, stimulus, *"])


@pytest.mark.parametrize("options", [(), ("-s", "-n", "2"), ("-n", "2")])
def test_somebody_who_switches_power_must_be_there_to_be_asked(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    prepare(pytester, monkeypatch, """
import pytest
@pytest.mark.requirement("K-REG-01")
def test_good(node): pass
""")  # fmt: skip
    rig = pytester.path / "rig.yaml"
    rig.write_text(rig.read_text() + "    drivers: {ManualPowerDriver: {}}\n")
    refused = pytester.runpytest_subprocess(*PLUGIN, *RIG_OPTIONS, *options)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*rig.yaml: lamp-1: ManualPowerDriver asks somebody: *-s*-n 0"])
    elsewhere = pytester.runpytest_subprocess(
        *PLUGIN, *RIG_OPTIONS, *options, "--place", "meter-1"
    )
    assert elsewhere.ret == pytest.ExitCode.OK


def test_somebody_at_the_terminal_switches_power(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(pytester, monkeypatch, """
import pytest
@pytest.mark.requirement("K-REG-01")
def test_good(node): pass
""")  # fmt: skip
    rig = pytester.path / "rig.yaml"
    rig.write_text(rig.read_text() + "    drivers: [ManualPowerDriver: {}]\n")
    assert run(pytester, "-s").ret == pytest.ExitCode.OK


def test_what_the_rig_lacks_is_skipped_with_a_reason(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(pytester, monkeypatch, """
import pytest
pytestmark = pytest.mark.requirement("K-REG-01")
@pytest.mark.needs("current-meter")
def test_meter(node): pass
@pytest.mark.needs("current-meter", "power")
@pytest.mark.node("lamppost")
def test_lamp(node): assert node.name == "lamp-1"
@pytest.mark.node("drainage")
def test_drainage(node): pass
@pytest.mark.soak
def test_day(node): pass
@pytest.mark.needs("virtual")
def test_anywhere(): pass
def test_no_place_at_all(): pass
""")  # fmt: skip
    result = run(pytester)
    assert outcomes(result) == {"passed": 2, "skipped": 4}
    result.stdout.fnmatch_lines_random([
        "*no place of this rig for a gas-meter has current-meter*",
        "*no place of this rig can be a drainage*",
        "*takes hours: --soak*",
        "*no place of this rig for a gas-meter has virtual*",
    ])  # fmt: skip


def test_a_day_on_a_virtual_rig_is_no_soak(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(pytester, monkeypatch, """
import pytest
@pytest.mark.requirement("K-REG-01")
@pytest.mark.soak
def test_day(node): pass
""")  # fmt: skip
    file = pytester.path / "rig.yaml"
    file.write_text(file.read_text().replace("features: [", "features: [virtual, "))
    assert outcomes(run(pytester)) == {"passed": 1}


def test_a_run_without_a_rig_is_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(pytester, monkeypatch, "def test_it(node): pass")
    result = pytester.runpytest_inprocess(*PLUGIN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: name a rig: --rig hil/rigs/virtual.yaml"])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "*rig.yaml: there is no such file*"),
        ("targets: [", "*rig.yaml: Error in configuration file*"),
        ("imports: []", "*rig.yaml: it has no targets: a place is a target"),
        ("targets: {a: {features: [power]}}", "*a: a resource must say `board` and `nodes`*"),
        ("targets: {a: {features: power, options: {board: b, nodes: [c]}}}", "*features is a*"),
        ("imports: [no.such.module]\ntargets: {a: {}}", "*imports: No module named 'no'"),
    ],
)
def test_a_rigs_file_that_is_wrong_is_refused_in_one_line(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, text: str | None, error: str
) -> None:
    prepare(pytester, monkeypatch, "def test_it(node): pass")
    file = pytester.path / "rig.yaml"
    file.unlink() if text is None else file.write_text(text)
    result = run(pytester)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len(result.stderr.lines) <= 3
    result.stderr.fnmatch_lines([f"ERROR: {error}"])


def test_a_place_that_the_rig_has_not_is_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(pytester, monkeypatch, "def test_it(node): pass")
    result = run(pytester, "--place", "meter-9")
    result.stderr.fnmatch_lines(["*no place 'meter-9': it has meter-1, meter-2, lamp-1"])


def test_a_module_stays_at_one_place_where_one_has_all_it_needs() -> None:
    asks = [Ask("m", "gas-meter", NONE), Ask("m", "gas-meter", frozenset({"stimulus"}))]
    assert assign(asks, _places(), 2) == ["meter-1", "meter-1"]


def test_modules_are_spread_over_no_more_places_than_workers() -> None:
    asks = [Ask(f"m{n}", "gas-meter", NONE) for n in range(6)]
    assert set(assign(asks, _places(), 1)) == {"meter-1"}
    spread = assign(asks, _places(), 2)
    assert spread.count("meter-1") == spread.count("meter-2") == 3


@given(
    st.lists(
        st.builds(
            Ask,
            st.sampled_from("abcd"),
            st.sampled_from(["gas-meter", "lamppost", "drainage"]),
            st.frozensets(st.sampled_from(["power", "stimulus", "virtual"])),
        ),
        max_size=30,
    ),
    st.integers(1, 4),
)
def test_each_test_gets_a_place_that_serves_or_none_does(asks: list[Ask], workers: int) -> None:
    places = {place.name: place for place in _places()}
    for ask, name in zip(asks, assign(asks, _places(), workers), strict=True):
        assert (name is None) == (lacking(ask, _places()) is not None)
        if name is not None:
            assert ask.node in places[name].nodes
            assert ask.needs <= places[name].features


def test_the_suites_requirements_can_be_read() -> None:
    assert len(requirements.load()) > 60


def test_every_requirement_has_a_test_and_every_test_a_requirement() -> None:
    named = set()
    for path in (ROOT / "hil" / "tests").glob("test_*.py"):
        for marks in re.findall(r"requirement\(([^)]*)\)", path.read_text(encoding="utf-8")):
            named |= set(re.findall(r"K-[A-Z]+-[0-9]+", marks))
    assert named == set(requirements.load())


@pytest.mark.parametrize("text", [
    "REG-1 = 'a'", "K-REG-01 = 3", "K-REG-01 = ' '", "K-REG-01 =", "measured = 3",
    "[measured]\nids = ['K-REG-01']", "K-REG-01 = 'a'\n[measured]\nids = 1",
])  # fmt: skip
def test_requirements_that_are_none_are_refused(
    tmp_path: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path / "r.toml"  # type: ignore[operator]
    file.write_text(text)
    with pytest.raises(inventory.RigFileError):
        requirements.load(file)
