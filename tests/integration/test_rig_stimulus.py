"""A stimulus board under a rig's control, over its serial port: firmware, driver, labgrid."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
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


SECOND = 1_000_000


class LateLine:
    """A serial port on which an answer to whoever had it before is still on its way."""

    def __init__(self) -> None:
        self.on_way = [b'{"ok": true}\n']

    def open(self) -> None: ...
    def close(self) -> None: ...
    def flush(self) -> None: ...
    def reset_input_buffer(self) -> None: ...

    def write(self, data: bytes) -> None:
        for line in filter(None, data.split(b"\n")):
            error = b'{"error": "a stimulus is one of wire"}\n'
            self.on_way.append(error if line == b"{}" else b'{"ok": true, "version": 1}\n')

    def read_until(self, _end: bytes) -> bytes:
        return self.on_way.pop(0) if self.on_way else b""


def test_an_answer_to_somebody_else_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    line = LateLine()
    monkeypatch.setattr("serial.Serial", lambda: line)
    stimulus = driver("/dev/ttyACM9")
    stimulus.target.activate(stimulus)
    assert stimulus.do(level="cover", value=1)["ok"]
    stimulus.target.deactivate(stimulus)
    assert line.on_way == [], "nor is one left for whoever comes next"


@target_factory.reg_driver
@attr.s(eq=False)
class Metering(StimulusDriver):
    """A stimulus board whose meter has steps to tell, of which it keeps 400: as the real one."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.steps: list[tuple[int, int]] = []
        self.now_ms = self.lost = self.missed = 0
        self.asked = threading.Semaphore(0)

    def on_activate(self) -> None:
        pass

    def on_deactivate(self) -> None:
        pass

    def draw(self, ua: int, ms: int) -> None:
        with self._turn:
            self.steps.append((self.now_ms, ua))
            self.lost += len(self.steps) > 400
            self.steps = self.steps[-400:]
            self.now_ms += ms

    def meter(self) -> dict[str, Any]:
        with self._turn:
            told, more = self.steps[:100], len(self.steps) > 100
            self.steps = self.steps[100:] if more else self.steps[-1:]
            lost, self.lost = self.lost, 0
            missed, self.missed = self.missed, 0
            self.asked.release()
            return {"steps": told, "more": more, "now_ms": self.now_ms, "lost": lost,
                    "missed": missed}  # fmt: skip


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Metering, CurrentDriver]]:
    """A meter and its driver, whose clock is the meter's; nothing is fetched unasked."""
    monkeypatch.setattr("hil.drivers.current.EVERY_S", 3600.0)
    target = Target("bench-1")
    part(StimulusBoard, target, port="/dev/null")
    board = part(Metering, target)
    clock = SimpleNamespace(time_ns=lambda: (10**9 + board.now_ms) * 1_000_000)
    monkeypatch.setattr("hil.drivers.current.time", clock)
    meter = part(CurrentDriver, target)
    target.activate(meter)
    yield board, meter
    target.deactivate(meter)


def test_the_steps_of_a_meter_are_put_together(metered: tuple[Metering, CurrentDriver]) -> None:
    board, meter = metered
    begun = meter.mark()
    board.draw(17, 5000)
    board.draw(90_000, 500)
    mark = meter.mark()
    board.steps[-1] = (5000, 91_000)  # it goes on, with another mean
    board.now_ms += 500
    board.draw(17, 1000)
    assert list(meter.samples(mark)) == [(mark, 91_000), (mark + SECOND // 2, 17)]
    assert list(meter.samples(begun)) == [
        (begun, 17), (begun + 5 * SECOND, 91_000), (begun + 6 * SECOND, 17),
    ]  # fmt: skip
    board.missed = 3  # one of fifty a second
    assert len(list(meter.samples(begun))) == 3


@pytest.mark.parametrize("loss", ["overrun", "silence"])
def test_a_trace_that_lacks_steps_is_a_fault_of_the_rig(
    metered: tuple[Metering, CurrentDriver], loss: str
) -> None:
    board, meter = metered
    mark = meter.mark()
    for step in range(401 if loss == "overrun" else 1):
        board.draw(1000 * step, 20)
    board.missed = 50 if loss == "silence" else 0
    with pytest.raises(RigFault, match="bench-1: the trace of the current lacks steps"):
        meter.samples(mark)
    mark = meter.mark()
    board.draw(17, 1000)
    assert [ua for _, ua in meter.samples(mark)][-1] == 17, "what comes later is whole"


def test_the_steps_are_fetched_while_nobody_asks(
    metered: tuple[Metering, CurrentDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    board, meter = metered
    monkeypatch.setattr("hil.drivers.current.EVERY_S", 0.01)
    meter.target.deactivate(meter)
    meter.target.activate(meter)
    mark = meter.mark()
    for _ in range(10):
        for step in range(100):
            board.draw(1000 * step, 20)
        while board.asked.acquire(blocking=False):
            pass
        assert board.asked.acquire(timeout=60)
        assert board.asked.acquire(timeout=60), "one that began behind the last step"
    assert len(list(meter.samples(mark))) == 1000
    with pytest.raises(RigFault, match="lacks steps"):
        meter.samples(mark - 1)
