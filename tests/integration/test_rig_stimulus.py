"""A stimulus board under a rig's control, over its serial port: firmware, driver, labgrid."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attr
import pytest
from bench_rig import Bench, bench
from labgrid import Target
from labgrid.factory import target_factory
from rig_parts import part
from stimulus_rig import files

from fleet.flashing.hardware import load_board
from hil.drivers import CurrentDriver, StimulusDriver
from hil.faults import RigFault
from hil.resources import StimulusBoard
from hil.virtual import firmware

BOARD = "devkit"
CHANNELS = {"cover": {"pin": 4}, "level": {"pwm": 5, "full_mv": 3300}, "valve_open": {"in": 6}}
BUS = {"uart": 2, "tx": 11, "rx": 12, "de": 13}


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Bench]:
    """A bench with one bare board, whose file system has the stimulus board's modules."""
    board = load_board(BOARD)
    folder = tmp_path / "bench"
    (folder / "1").mkdir(parents=True)
    flash = folder / "1" / "flash.bin"
    firmware.make_flash(flash, board.table, board.flash_bytes, files(), board.chip)
    with bench(folder, "--boards", 1, "--board", BOARD) as made:
        yield made


def driver(port: str, **more: Any) -> StimulusDriver:
    target = Target("bench-1")
    part(StimulusBoard, target, port=port, channels=CHANNELS, **more)
    return part(StimulusDriver, target)


def test_the_program_is_started_its_wires_are_told_and_it_does_what_is_asked(stand: Bench) -> None:
    stimulus = driver(stand.port("1"), bus=BUS)
    stimulus.target.activate(stimulus)
    stimulus.level("cover", 1)
    assert stand.do("1", "stimulus", read="pulse")["value"] == 1
    stand.do("1", "press", pin="button")
    stand.do("1", "stimulus", level="button", value=1)
    assert stimulus.read("valve_open") == 1
    assert stimulus.pulse("cover", 2, width_ms=100, gap_ms=100) == 0.4
    stimulus.sub_device("sdm630", 17, {"voltage": 230})
    stimulus.sub_values(17, {"voltage": 231}, dead=True)
    assert stimulus.do(bus="list")["devices"] == {"17": 0}
    with pytest.raises(RigFault, match="bench-1: stimulus board: there is no channel 'nose'"):
        stimulus.level("nose", 1)
    with pytest.raises(RigFault, match="sdm630 has no 'smell'"):
        stimulus.sub_values(17, {"smell": 1})
    stimulus.renew()  # the next test
    assert stimulus.do(bus="list")["devices"] == {}
    assert stand.do("1", "stimulus", read="pulse")["value"] == 0
    stimulus.sub_device("sdm630", 17, {"voltage": 230})
    stimulus.target.deactivate(stimulus)
    stimulus.target.activate(stimulus)  # it runs already, with nothing wired any more
    assert stimulus.do(bus="list")["devices"] == {}
    stimulus.target.deactivate(stimulus)


def test_a_board_that_is_not_there_or_answers_nothing_is_a_fault_of_the_rig(
    stand: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    stimulus = driver("/dev/ttyUSB-not-there")
    with pytest.raises(RigFault, match=r"bench-1: stimulus board: .*ttyUSB-not-there"):
        stimulus.target.activate(stimulus)
    monkeypatch.setattr("hil.drivers.stimulus.START_S", 0.3)
    stand.do("1", "loader")
    stimulus = driver(stand.port("1"))
    with pytest.raises(RigFault, match="does not start: is its firmware there"):
        stimulus.target.activate(stimulus)


@target_factory.reg_driver
@attr.s(eq=False)
class Metering(StimulusDriver):
    """A stimulus board whose meter has steps to tell."""

    told: list[dict[str, Any]]

    def on_activate(self) -> None:
        pass

    def on_deactivate(self) -> None:
        pass

    def do(self, **asked: Any) -> dict[str, Any]:
        assert asked == {"meter": "read"}
        return self.told.pop(0)


def test_the_steps_of_a_meter_are_put_together() -> None:
    target = Target("bench-1")
    part(StimulusBoard, target, port="/dev/null")
    board = part(Metering, target)
    board.told = [
        {"steps": [[0, 17]], "more": False, "now_ms": 20_000, "lost": 0},
        {"steps": [[0, 18], [5000, 90_000]], "more": True, "now_ms": 20_000, "lost": 0},
        {"steps": [[5000, 91_000], [6000, 17]], "more": False, "now_ms": 20_001, "lost": 2},
    ]
    meter = part(CurrentDriver, target)
    target.activate(meter)
    mark = meter.mark()
    found = list(meter.samples(mark - 16_000_000))
    assert [ua for _, ua in found] == [18, 91_000, 17]
    assert found[0][0] == mark - 16_000_000
    assert found[2][0] - found[1][0] == pytest.approx(1_000_000, abs=50_000)
    assert meter.lost == 2
