"""Two jobs of CI on one bench: a labgrid coordinator and an exporter on loopback, reservation by
tags, one job that waits for the other.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from coordinator_rig import Bench, bench, until

from hil import share
from hil.inventory import load

HOLDS = """
import pytest, time
from pathlib import Path
@pytest.mark.requirement("K-REG-01")
def test_it(node, place):
    (board,) = [each for each in place.target.resources if type(each).__name__ == "VirtualBoard"]
    assert (board.board, board.nodes) == ("esp32s3-bc660k", ["gas-meter"])
    assert (node.place, node.type, node.state) == ("meter-1", "gas-meter", "online")
    assert place.strategy.line.did == ["renew", "flash gas-meter", "provision gas-meter", "reset"]
    Path("holds").touch()
    while not Path("go").exists():
        time.sleep(0.05)
@pytest.mark.requirement("K-REG-01")
def test_again(node, place):
    assert place.strategy.line.did[4:] == ["renew", "reset"]  # the same place, held all the time
"""
RUNS = """
import pytest
@pytest.mark.requirement("K-REG-01")
def test_it(node, place):
    assert place.target.get_resource("VirtualBoard").nodes == ["gas-meter"]
"""
LAMP = """
import pytest
@pytest.mark.requirement("K-REG-01")
@pytest.mark.node("gateway")
def test_it(node, place):
    assert (node.place, node.type) == ("lamp-1", "gateway")
    assert place.target.get_resource("VirtualBoard").nodes == ["lamppost", "gateway"]
"""
# Its tests are of both places: the one is given back before the other is asked for.
BOTH = (
    RUNS
    + LAMP.replace("test_it", "test_lamp").replace(
        "import pytest", "import pytest, subprocess, sys"
    )
    + """
    shown = subprocess.run(
        [sys.executable, "-m", "labgrid.remote.client", "-x", {address!r},
         "-p", "meter-1", "show"], capture_output=True, text=True, check=True,
    ).stdout
    assert "acquired: None" in shown
"""
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One bench for all of them: each leaves it free."""
    with bench(tmp_path_factory.mktemp("bench")) as found:
        yield found


def _states(shared: Bench) -> list[str]:
    lines = shared.client("reservations").splitlines()
    return sorted(line.split()[-1] for line in lines if line.strip().startswith("state:"))


def _holder(shared: Bench, place: str) -> str:
    lines = shared.client("-p", place, "show").splitlines()
    return next(line.split()[-1] for line in lines if line.strip().startswith("acquired:"))


def test_a_job_waits_for_the_place_of_another(shared: Bench) -> None:
    with shared.job("first", HOLDS) as first:
        until((shared.folder / "first" / "holds").exists, "the first job does not begin")
        assert f"kapok-{first.process.pid}" in _holder(shared, "meter-1")
        with shared.job("second", RUNS) as second:
            until(lambda: _states(shared) == ["acquired", "waiting"], "the second does not wait")
            assert second.process.poll() is None
            with shared.job("third", LAMP) as third:  # what is free is not waited for
                code, told = third.ended()
                assert (code, "1 passed" in told) == (0, True), told
            assert second.process.poll() is None
            (shared.folder / "first" / "go").touch()
            for job, passed in ((first, 2), (second, 1)):
                code, told = job.ended()
                assert (code, f"{passed} passed" in told) == (0, True), told
    assert _states(shared) == []
    assert _holder(shared, "meter-1") == "None"


def test_a_job_gives_a_place_back_before_it_asks_for_another(shared: Bench) -> None:
    with shared.job("both", BOTH.format(address=shared.address)) as both:
        code, told = both.ended()
    assert (code, "2 passed" in told) == (0, True), told
    assert _states(shared) == []


def test_a_place_that_is_shared_again_is_as_its_file_says_now(
    shared: Bench, tmp_path: Path
) -> None:
    def publish(features: str, tag: str, exporter: str) -> set[str]:
        file = tmp_path / "rig.yaml"
        file.write_text(
            f"targets: {{spare: {{features: [{features}], options: {{board: devkit, "
            f"nodes: [gas-meter], tags: {{{tag}}}}}}}}}"
        )
        assert share.publish(load(file), shared.address, exporter) == ["spare"]
        lines = [line.strip() for line in shared.client("-p", "spare", "show").splitlines()]
        tags = next(line.removeprefix("tags: ") for line in lines if line.startswith("tags: "))
        return {*tags.split(", "), *(line for line in lines if line.count("/") == 2)}

    always = {"board=devkit", "node_gas_meter=yes"}
    first = publish("power", "room: lab-1", "*")
    assert first == {*always, "feature_power=yes", "room=lab-1", "*/spare/*"}
    again = publish("stimulus", "room: lab-2", "bench-2")
    assert again == {*always, "feature_stimulus=yes", "room=lab-2", "bench-2/spare/*"}


def test_a_job_that_waits_too_long_says_for_what(shared: Bench) -> None:
    shared.client("-p", "meter-1", "acquire")
    try:
        with shared.job("late", RUNS, "--reserve-wait", "2") as late:
            code, told = late.ended()
    finally:
        shared.client("-p", "meter-1", "release")
    assert code == 1
    assert "meter-1: no such place became free in 2 s: labgrid-client -x" in told
    assert _states(shared) == []


def test_a_coordinator_that_is_not_there_is_a_fault_of_the_rig(
    shared: Bench, tmp_path: Path
) -> None:
    alone = Bench(tmp_path, "127.0.0.1:9")
    with alone.job("alone", RUNS) as job:
        code, told = job.ended()
    assert code == 1
    assert "fault of the rig: test_it.py::test_it: coordinator 127.0.0.1:9: " in told
