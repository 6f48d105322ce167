"""Mutants: what is made and what is not, the copy, the tests that are chosen, the campaign."""

import ast
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.mutants import campaign, choose, faults, imports, points, runs, trees
from hil.mutants.choose import Map, MapError
from hil.mutants.faults import FaultError
from hil.mutants.runs import Outcome
from hil.mutants.warm import Warm

ROOT = Path(__file__).parents[3]
SOURCE = '''"""Docstring 1."""
from micropython import const

_MOST = const(5)
_LONG = const(60_000)

def f(a: "int" = 1, *, b=False) -> "int | None":
    """Docstring 2."""
    if a < _MOST and not b:
        raise ValueError("at most %d" % a, 7)
    total: int = a * 2
    for n in range(3):
        if n is None:
            continue
        total += n
    print(f"{total + 1}")
    return total if b else None
'''


def made(source: str) -> set[tuple[int, str, str]]:
    return {(m.line, m.kind, m.after) for m in points.of(source, "x.py")}


def test_each_small_change_is_made_once() -> None:
    assert made(SOURCE) == {
        (4, "number", "6"),
        (5, "number", "0"),
        (7, "number", "2"),
        (7, "truth", "True"),
        (9, "and to or", "(a < _MOST or not b)"),
        (9, "comparison", "(a <= _MOST)"),
        (9, "not dropped", "(b)"),
        (10, "raise dropped", "pass"),
        (10, "number", "8"),
        (11, "arithmetic", "(a // 2)"),
        (11, "number", "3"),
        (12, "number", "4"),
        (13, "comparison", "(n is not None)"),
        (14, "continue to break", "break"),
        (15, "arithmetic", "total -= n"),
        (16, "call dropped", "pass"),
        (17, "nothing returned", "return None"),
        (17, "condition turned", "(None if b else total)"),
    }


def test_nothing_is_made_of_what_nobody_executes() -> None:
    plain = '"""1 < 2"""\nfrom a import b\n\n\nclass A:\n    """2 + 2"""\n\n    x: "int | 5"\n'
    assert made(plain) == set()


def test_every_mutant_of_the_firmware_is_python_and_another_text() -> None:
    folder = "firmware/node/store"
    found = points.of_folder(ROOT, folder)
    assert len({mutant.id for mutant in found}) == len(found) > 500
    for mutant in found[::7]:
        source = (ROOT / mutant.path).read_text()
        assert points.compiles(mutant, source), mutant
        spoilt = mutant.applied(source)
        assert ast.dump(ast.parse(spoilt)) != ast.dump(ast.parse(source)), mutant


@given(st.integers(0, 5), st.sampled_from(["é", "木棉", ""]))
def test_a_change_lands_where_it_belongs_behind_any_text(blanks: int, word: str) -> None:
    source = "\n" * blanks + f'x = "{word}", 1 + 2\n'
    spoilt = [m.applied(source) for m in points.of(source, "x.py") if m.kind == "arithmetic"]
    assert spoilt == ["\n" * blanks + f'x = "{word}", (1 - 2)\n']


# The copy and the run


@pytest.fixture(autouse=True)
def _of_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "READERS", ())
    monkeypatch.setattr(choose, "GENERAL", ("tests/test_vm_b.py",))


@pytest.fixture
def no_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the test files of RECORDED, which are but names."""
    monkeypatch.setattr(imports, "imported", lambda path: ())


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trees.Tree:
    """A copy of a repository with one module and one test."""
    files = {
        "tests/test_vm_pure.py": "",
        "firmware/node/pure.py": "def double(n):\n    return n * 2\n",
        "tests/test_pure.py": (
            "from node.pure import double\n\ndef test_it():\n    assert double(3) == 6\n"
        ),
        "tests/test_hang.py": (
            "from node.pure import double\n\ndef test_it():\n    while double(3) == 7:\n"
            "        pass\n"
        ),
        "pytest.ini": "[pytest]\npythonpath = firmware\n",
    }
    root = tmp_path / "root"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for module in (trees, campaign, choose, imports):
        if hasattr(module, "ROOT"):
            monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(trees, "_sources", lambda: sorted(files))
    return trees.Tree(tmp_path / "copy")


def test_a_spoilt_copy_is_caught_and_the_work_tree_is_as_it_was(tree: trees.Tree) -> None:
    path = "firmware/node/pure.py"
    original = (trees.ROOT / path).read_text()
    assert runs.run(tree, ["tests/test_pure.py"], 60).kind == "survived"
    with tree.changed(path, "def double(n):\n    return n + 2\n"):
        outcome = runs.run(tree, ["tests/test_pure.py"], 60)
    assert (outcome.kind, outcome.by) == ("caught", "tests/test_pure.py::test_it")
    assert (tree.folder / path).read_text() == (trees.ROOT / path).read_text() == original
    assert runs.run(tree, ["tests/test_pure.py"], 60).kind == "survived"


def test_a_module_that_does_not_load_is_caught(tree: trees.Tree) -> None:
    with tree.changed("firmware/node/pure.py", "raise ValueError\n"):
        assert runs.run(tree, ["tests/test_pure.py"], 60).kind == "caught"


def test_an_endless_loop_is_caught_by_its_time(tree: trees.Tree) -> None:
    with tree.changed("firmware/node/pure.py", "def double(n):\n    return 7\n"):
        outcome = runs.run(tree, ["tests/test_hang.py"], 3)
    assert outcome.kind == "timeout"
    assert outcome.caught


def test_tests_that_cannot_run_at_all_are_an_error(tree: trees.Tree) -> None:
    with pytest.raises(runs.RunError, match="pytest ended with 4"):
        runs.run(tree, ["tests/none.py"], 60)


# The tests that are chosen

PURE = "firmware/node/pure.py"
SLOW, QUICK = "tests/test_pure.py::test_slow", "tests/test_pure.py::test_quick"
FAR, OTHER_LINE = "tests/test_far.py::test_it", "tests/test_far.py::test_other_line"
FAILING = "tests/test_pure.py::test_failing"
RECORDED = {
    "tests": [SLOW, QUICK, FAR, OTHER_LINE, FAILING],
    "seconds": [9.0, 0.1, 0.1, 0.1, 0.1],
    "lines": {PURE: {"1": [-1], "2": [0, 1, 2, 4], "5": [3]}},
    "failed": [FAILING],
    "loaded": ["json"],
}
TIMED = {
    "tests": ["tests/test_vm_b.py::test_it"],
    "seconds": [1.0],
    "lines": {},
    "failed": [],
    "loaded": ["hashlib"],
}
ON_VM = {
    "tests/test_vm_b.py": frozenset({PURE}),
    "tests/test_vm_pure.py": frozenset({PURE}),
    "tests/test_vm_c.py": frozenset({"firmware/node/other.py"}),
}


def mutant(line: int) -> points.Mutant:
    return points.Mutant(PURE, line, "number", 0, 1, "1", "2")


@pytest.mark.usefixtures("no_imports")
def test_who_executes_the_line_is_asked_nearest_and_quickest_first_then_the_vm() -> None:
    known = Map([RECORDED, TIMED], ON_VM)
    chosen = known.chosen(mutant(2), 1)
    assert chosen.direct == [[QUICK, SLOW, FAR]]
    assert chosen.vm == [["tests/test_vm_pure.py"], ["tests/test_vm_b.py"]]
    assert known.seconds(["tests/test_vm_b.py", SLOW]) == 10.0
    assert known.files == ["tests/test_far.py", "tests/test_pure.py"]
    assert known.modules == ["hashlib", "json"]
    assert known.failed == [FAILING]


@pytest.mark.usefixtures("no_imports")
def test_a_mutant_is_worth_so_many_seconds_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "DIRECT_S", 5.0)
    chosen = Map([RECORDED, TIMED], ON_VM, 1).chosen(mutant(2), 1)
    assert chosen.direct == [[QUICK]]
    assert chosen.vm == [["tests/test_vm_pure.py"]]


def test_a_line_that_runs_while_its_module_loads_is_everybodys() -> None:
    assert Map([RECORDED], {}).chosen(mutant(1), 1).direct == [[QUICK, SLOW, FAR, OTHER_LINE]]


def test_a_statement_over_several_lines_is_executed_by_any_of_them() -> None:
    assert Map([RECORDED], {}).chosen(mutant(3), 3).direct == [[OTHER_LINE]]
    assert Map([RECORDED], {}).chosen(mutant(3), 1).direct == []


@pytest.mark.parametrize(("text", "why"), [(None, "has no map"), ("{", "is damaged")])
def test_no_map_is_said_in_a_line(tmp_path: Path, text: str | None, why: str) -> None:
    if text is not None:
        (tmp_path / "0.json").write_text(text)
    with pytest.raises(MapError, match=why):
        choose.load(tmp_path)


def test_imports_tell_what_a_test_runs_on_a_vm() -> None:
    ccm = imports.on_vm("tests/unit/firmware/test_ccm.py")
    assert "firmware/node/link/ccm.py" in imports.closure("tests/unit/firmware/test_ccm.py")
    assert "firmware/node/roles/gateway.py" not in ccm
    cuts = imports.on_vm("tests/integration/test_journal_power_cut.py")
    assert "firmware/node/store/segments.py" in cuts
    assert "firmware/node/roles/gateway.py" not in cuts
    assert "firmware/node/roles/gateway.py" in imports.on_vm("tests/integration/test_roles.py")
    assert imports.on_vm("tests/unit/fleet/test_shrink.py") == frozenset()


# A campaign


class Answers:
    """In place of a warm worker: the second mutant survives; then the power fails."""

    def __init__(self, most: int = 100) -> None:
        self.asked: list[list[str]] = []
        self.most = most

    def run(self, tests: Sequence[str], limit_s: float) -> Outcome:
        if len(self.asked) == self.most:
            raise KeyboardInterrupt
        self.asked.append(list(tests))
        return Outcome("survived" if len(self.asked) == 2 else "caught", "t", 1.0)

    def close(self) -> None:
        pass


EVERY_LINE = {**RECORDED, "lines": {PURE: {str(line): [1, -1] for line in range(1, 9)}}}


def test_a_campaign_goes_on_where_it_stopped(tree: trees.Tree, tmp_path: Path) -> None:
    told: list[str] = []

    def hunt(answers: Answers) -> campaign.Campaign:
        judge = campaign.Judge(tree, answers, Map([EVERY_LINE], {}))
        return campaign.Campaign(tmp_path, 5, lambda count: [judge], told.append)

    drawn = campaign.drawn(5, 3)
    assert drawn == campaign.drawn(5, 3)
    answers = Answers(most=2)
    with pytest.raises(KeyboardInterrupt):
        hunt(answers).run(3)
    assert len(hunt(answers).results()) == 2
    with (tmp_path / "random-5.jsonl").open("a") as file:
        file.write('{"id": "cut sho\n')
    answers.most = 100
    assert hunt(answers).run(3) == 66
    assert len(answers.asked) == 3, "what was judged is not judged again"
    assert (tmp_path / "survivors-5.txt").read_text() == f"{drawn[1]}\n"
    assert "2 of 3 mutants caught (66 %)" in told[-1]
    rows = (tmp_path / "random-5.jsonl").read_text().splitlines()
    assert json.loads(rows[0])["mutant"] == str(drawn[0])
    assert hunt(answers).run(3, again=True) == 66
    assert len(answers.asked) == 3, "nor is a test asked twice that has not changed"
    (trees.ROOT / QUICK.partition("::")[0]).write_text("# a better one")
    assert hunt(answers).run(3, again=True) == 100
    assert (tmp_path / "survivors-5.txt").read_text() == ""


def test_a_test_on_a_vm_that_fails_without_the_mutant_too_catches_nothing(
    tree: trees.Tree,
) -> None:
    class Fails(Answers):
        def run(self, tests: Sequence[str], limit_s: float) -> Outcome:
            self.asked.append(list(tests))
            return Outcome("caught", tests[0], 1.0)

    answers = Fails()
    known = Map([{**RECORDED, "lines": {}}], {"tests/test_vm_pure.py": frozenset({PURE})})
    outcome, _ = campaign.Judge(tree, answers, known).judge(campaign.drawn(5, 1)[0])
    assert answers.asked == [["tests/test_vm_pure.py"]] * 2
    assert not outcome.caught
    assert outcome.by.startswith("tests/test_vm_pure.py fails without it too")


# The warm worker


@pytest.fixture
def warm(tree: trees.Tree) -> Iterator[Warm]:
    """With what it needs of this repository beside the copy's own module and tests."""
    for name in ("hil/__init__.py", "fleet/__init__.py", "fleet/errors.py"):
        (tree.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree.folder / name)
    shutil.copytree(ROOT / "hil/mutants", tree.folder / "hil/mutants")
    worker = Warm(tree, ["json"], ["tests/test_pure.py"])
    yield worker
    worker.close()


def test_a_warm_worker_sees_each_mutant_and_then_none(tree: trees.Tree, warm: Warm) -> None:
    it = "tests/test_pure.py::test_it"
    assert warm.run([it], 60).kind == "survived"
    for text in ("def double(n):\n    return n + 2\n", "def double(n):\n    return n - 2\n"):
        with tree.changed(PURE, text):
            outcome = warm.run([it], 60)
        assert (outcome.kind, outcome.by) == ("caught", it)
    with tree.changed(PURE, "raise ValueError\n"):
        assert warm.run([it], 60).kind == "caught"
    with tree.changed(PURE, "def double(n):\n    return 7\n"):
        assert warm.run(["tests/test_hang.py"], 3).kind == "timeout"
    assert warm.run([it, "tests/test_hang.py"], 60).kind == "survived"


def test_a_warm_worker_that_ended_is_an_error(warm: Warm) -> None:
    warm.close()
    with pytest.raises(runs.RunError, match="does not answer"):
        warm.run(["tests/test_pure.py"], 3)


# The tests of the files that are asked in order


def test_the_suites_tests_are_asked_by_the_requirements_that_they_name() -> None:
    suite = faults.Suite("hil/rigs/virtual.yaml")
    asked = {fault.id: suite.first(fault) for fault in faults.load()}
    assert all(asked.values()), "each fault breaks what a test of the suite proves"
    assert asked["watchdog-missing"][0].startswith("hil/tests/test_watchdog.py::test_the_watchdog")


# The deliberate faults


def test_every_fault_fits_the_sources_as_they_are_and_is_python() -> None:
    known = (ROOT / "hil/requirements.toml").read_text() if _has_requirements() else ""
    found = faults.load()
    assert len(found) >= 12
    assert len({fault.id for fault in found}) == len(found)
    for fault in found:
        spoilt = fault.applied()
        assert spoilt != (ROOT / fault.path).read_text()
        compile(spoilt, fault.path, "exec")
        assert fault.requirements
        assert fault.tests
        for name in fault.tests:
            assert (ROOT / name).exists(), name
        for name in fault.requirements if known else ():
            assert f"{name} = " in known, name


def _has_requirements() -> bool:
    return (ROOT / "hil/requirements.toml").exists()


def test_a_fault_that_fits_no_more_is_refused() -> None:
    fault = faults.load()[0]._replace(find="no such line")
    with pytest.raises(FaultError, match=r"mend hil/mutants/faults\.toml"):
        fault.applied()


def test_faults_are_judged_by_tests_that_pass_without_them(
    tree: trees.Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "firmware/node/pure.py"
    monkeypatch.setattr(faults, "ROOT", trees.ROOT)
    fault = faults.Fault("half", "it halves", path, "n * 2", "n // 2", ("K-X-01",), ())
    caught = fault._replace(tests=("tests/test_pure.py",))
    missed = fault._replace(tests=("tests/test_hang.py",))
    suite = faults.Suite(None)
    told: list[str] = []
    verdicts = faults.judge_all([caught, missed], suite, tree, told.append)
    assert [each.outcome.caught for each in verdicts] == [True, False]
    assert verdicts[0].proved
    assert told[0].startswith("1/2 half: caught in")
    (tree.folder / "tests/test_pure.py").write_text("def test_it():\n    assert False\n")
    (verdict,) = faults.judge_all([caught], suite, tree, told.append)
    assert not verdict.outcome.caught
    assert told[-1].endswith("by tests/test_pure.py::test_it fails without it too")
