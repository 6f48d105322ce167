"""Faults of the rig are told from faults of the node: only the former are tried again."""

from collections.abc import Callable

import pytest
from hil_rig import outcomes, prepare, run

from hil.faults import RigFault
from hil.pytest_plugin.faults import rig_fault

pytest_plugins = "pytester"

HEAD = """
import pytest
from hil.faults import RigFault
pytestmark = pytest.mark.requirement("K-REG-01")
"""


Tests = Callable[[str], pytest.RunResult]


@pytest.fixture
def tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Tests:
    """Write these tests, run them, give the result."""

    def write(text: str) -> pytest.RunResult:
        prepare(pytester, monkeypatch, HEAD + text)
        return run(pytester)

    return write


def test_a_fault_of_the_rig_is_tried_again_and_reported_as_retried(tests: Tests) -> None:
    result = tests("""
def test_once(node):
    if not node.recovered:
        node.faults.append(RigFault("meter-1: the port vanished"))
    node.use()
    assert node.recovered == 1
""")
    assert result.ret == 0
    assert outcomes(result) == {"passed": 1, "retried": 1}
    result.stdout.fnmatch_lines_random(
        ["retried, by a fault of the rig: *test_once: meter-1: the port*"]
    )


def test_a_fault_of_the_node_is_never_tried_again(tests: Tests) -> None:
    result = tests("""
def test_node(node):
    node.use()
    assert node.text.count("console") == 2, "the node said nothing"
""")
    assert result.ret == 1
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["fault of the node: *test_node"])


def test_a_second_fault_of_the_rig_fails_and_breaks_the_place(tests: Tests) -> None:
    result = tests("""
def test_twice(node):
    raise RigFault("the bench died")
def test_after(node):
    node.use()
@pytest.mark.node("lamppost")
def test_elsewhere(node):
    node.use()
""")
    assert result.ret == 1
    assert outcomes(result) == {"passed": 1, "failed": 1, "skipped": 1, "retried": 1}
    result.stdout.fnmatch_lines_random([
        "*meter-1 is broken since test_twice: the bench died*",
        "fault of the rig: *test_twice: the bench died",
    ])  # fmt: skip


def test_a_place_that_cannot_be_mended_is_not_tried_again(tests: Tests) -> None:
    result = tests("""
def test_dead(node):
    def recover():
        raise RigFault("no such port")
    node.recover = recover
    raise RigFault("the port vanished")
""")
    assert outcomes(result) == {"failed": 1}


def test_a_strategy_that_the_node_broke_skips_what_follows_there(tests: Tests) -> None:
    result = tests("""
def test_breaks(node):
    node.broken = RuntimeError("it never boots")
    assert False
def test_after(node):
    node.use()
""")
    assert outcomes(result) == {"failed": 1, "skipped": 1}
    result.stdout.fnmatch_lines(["*meter-1 is broken since test_breaks: it never boots*"])


def test_fixtures_that_failed_by_the_rig_are_set_up_again(tests: Tests) -> None:
    result = tests("""
MADE = []
@pytest.fixture(scope="session")
def server():
    MADE.append(1)
    if len(MADE) == 1:
        raise RigFault("the fleet did not start")
    return "up"
def test_it(server, node):
    assert server == "up"
def test_again(server, node):
    assert len(MADE) == 2
""")
    assert result.ret == 0
    assert outcomes(result) == {"passed": 2, "retried": 1}


def test_a_fault_of_the_rig_in_the_teardown_is_tried_again(tests: Tests) -> None:
    result = tests("""
FAULTS = [RigFault("the relay did not answer")]
@pytest.fixture
def relay():
    yield
    if FAULTS:
        raise FAULTS.pop()
def test_it(relay, node):
    node.use()
""")
    assert result.ret == 0
    assert outcomes(result) == {"passed": 1, "retried": 1}


def test_a_node_that_fails_before_the_rig_does_is_at_fault(tests: Tests) -> None:
    result = tests("""
@pytest.fixture
def relay():
    yield
    raise RigFault("the relay did not answer")
def test_it(relay, node):
    assert False
""")
    assert outcomes(result) == {"failed": 1, "errors": 1}


def test_a_place_that_fails_as_it_begins_is_mended_too(tests: Tests) -> None:
    result = tests("""
from hil.pytest_plugin.held import hold, take
class Place:
    name, broken, mended = "meter-1", None, 0
    def recover(self):
        Place.mended += 1
    def mark(self):
        return 0
    def logs(self, mark):
        raise AssertionError("nothing has begun")
@pytest.fixture
def node(request):
    place = Place()
    take(request.node, place)
    if not Place.mended:
        raise RigFault("meter-1: off")
    return place
def test_it(node):
    assert node.mended == 1
""")
    assert result.ret == 0
    assert outcomes(result) == {"passed": 1, "retried": 1}


def _from(cause: BaseException) -> BaseException:
    error = RuntimeError("the strategy is broken")
    error.__cause__ = cause
    return error


def test_whose_fault_an_exception_is() -> None:
    from labgrid.exceptions import NoResourceFoundError
    from serial import SerialException

    assert rig_fault(RigFault("no\nport")) == "no port"
    assert rig_fault(SerialException("gone")) == "gone"
    assert rig_fault(NoResourceFoundError("no NodePort")) == "no NodePort"
    assert rig_fault(_from(RigFault("dead"))) == "dead"
    assert rig_fault(_from(AssertionError("it printed nothing"))) is None
    assert rig_fault(ExceptionGroup("both", [RigFault("a"), RigFault("b")])) == "a; b"
    assert rig_fault(ExceptionGroup("both", [RigFault("a"), AssertionError()])) is None
    assert rig_fault(AssertionError("x")) is None
    assert rig_fault(None) is None


def test_a_node_found_at_fault_while_the_rig_failed_is_at_fault() -> None:
    """`raise` in an `except` is no claim that the rig is the cause."""
    error = AssertionError("wrong register")
    error.__context__ = RigFault("slow")
    assert rig_fault(error) is None


def test_without_the_retry_a_fault_of_the_rig_fails_what_follows(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sabotage: the retry is what the tests above see."""
    prepare(pytester, monkeypatch, HEAD + """
def test_once(node):
    if not node.recovered:
        raise RigFault("meter-1: the port vanished")
def test_after(node):
    assert node.recovered
""")  # fmt: skip
    result = run(pytester, "-p", "no:hil.pytest_plugin.retry")
    assert outcomes(result) == {"failed": 2}
    assert outcomes(run(pytester)) == {"passed": 2, "retried": 1}
