"""Locks, consoles, programs and traces of a rig."""

import os
import pty
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rig_fakes
from labgrid import Target
from rig_parts import part

from fleet.flashing.ports import Port
from hil.current import Trace
from hil.drivers import BenchDriver, NodeConsoleDriver, NodePortDriver, node_port
from hil.drivers.console import NotSeen
from hil.faults import RigFault
from hil.measuring import plateau
from hil.processes import Program
from hil.resources import NodePort, VirtualBoard


@pytest.fixture
def wire() -> Iterator[tuple[int, Any]]:
    """The board's end of a line, and a console on the other."""
    board, host = pty.openpty()
    target = Target("paper-2")
    part(rig_fakes.PaperLine, target, path=os.ttyname(host))
    console: Any = part(NodeConsoleDriver, target)
    target.activate(console)
    console.open()
    yield board, console
    console.close()
    os.close(board)
    os.close(host)


def test_a_console_matches_what_comes_and_says_what_came_instead(wire: tuple[int, Any]) -> None:
    board, console = wire
    os.write(board, b"boot\r\nlevel 12 \xc2")
    assert console.expect(r"level (\d+)", 10)[1] == "12"
    os.write(board, b"\xb0C\r\n")  # a character that comes in two pieces
    assert console.expect("\u00b0C\n", 10)
    with pytest.raises(NotSeen, match=r"'level' did not come within 0 s; this came:\n\(nothing\)"):
        console.expect("level", 0)
    mark = console.mark()
    os.write(board, b"panic at 7\r\n")
    console.expect("panic", 10, mark)
    with pytest.raises(NotSeen, match=r"this came:\npanic at 7"):
        console.expect("level", 0, mark)
    assert [line for _, line in console.lines()] == ["boot", "level 12 \u00b0C", "panic at 7"]
    assert console.log(mark).endswith(" panic at 7")


def test_what_a_console_reads_has_the_node_s_time(
    wire: tuple[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    board, console = wire
    for at_us, text in ((5_000_000, b"boot\r\n"), (3_605_250_000, b"an hour later\r\n")):
        monkeypatch.setattr(console.clock, "now_us", lambda at_us=at_us: at_us)
        os.write(board, text)
        console.expect(text.decode().strip(), 10)
    assert console.lines() == [(5.0, "boot"), (3605.25, "an hour later")]
    assert console.log(0, 5_000_000) == "    0.000 boot\n 3600.250 an hour later"

    def gone() -> int:
        raise RigFault("the bench has died")

    monkeypatch.setattr(console.clock, "now_us", gone)
    os.write(board, b"still\r\n")
    assert console.expect("still", 10)


def test_between_two_looks_a_virtual_clock_went_evenly() -> None:
    target = Target("paper-5")
    part(VirtualBoard, target, board="devkit", nodes=["devkit"])
    bench: Any = part(BenchDriver, target)
    assert bench.at_us(7) == 7
    bench._seen = [(100, 1000), (300, 5000), (200, 1000)]
    assert [bench.at_us(at) for at in (50, 150, 250, 300, 900)] == [1000, 1000, 3000, 5000, 5000]


def test_what_was_said_within_the_node_s_time_is_heard_a_little_later(
    wire: tuple[int, Any],
) -> None:
    board, console = wire
    late = threading.Timer(0.2, os.write, (board, b"late\r\n"))
    late.start()
    assert console.expect("late", 0)  # no time at all, as virtual time may be over
    late.join()


def test_a_lent_port_is_read_again_when_it_is_back(wire: tuple[int, Any]) -> None:
    board, console = wire
    with console.lent():
        assert console.line.opened is None
    os.write(board, b"again\r\n")
    assert console.expect("again", 10)


def test_a_lent_port_that_does_not_come_back_is_the_rigs_fault_and_not_the_node_s(
    wire: tuple[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, console = wire

    def gone() -> Any:
        raise RigFault("paper-2: no port")

    with console.lent():
        monkeypatch.setattr(console.line, "port", gone)
    with pytest.raises(RigFault, match="paper-2: no port"):
        console.expect("again", 0)
    monkeypatch.undo()
    console.open()
    with pytest.raises(NotSeen):
        console.expect("again", 0)


def test_a_program_that_does_not_start_is_the_rigs_fault_with_its_last_words(
    tmp_path: Path,
) -> None:
    with pytest.raises(RigFault, match=r"kapok serve did not start .*--port"):
        Program(["serve", "--port", "none"], tmp_path / "log", {"KAPOK_DATA": str(tmp_path)})


@pytest.mark.parametrize(
    ("nodes", "usb", "refused"),
    [
        (["gas-meter"], "303a:1001", True),
        (["gas-meter"], "1a86:55d3", False),
        (["lamppost", "gateway"], "303a:1001", False),
    ],
)
def test_a_port_that_sleep_takes_away_is_refused(
    monkeypatch: pytest.MonkeyPatch, nodes: list[str], usb: str, refused: bool
) -> None:
    monkeypatch.setattr(node_port, "PLUGGED_S", 0)
    port = Port("usb:1-3.2:1.0", "/dev/ttyACM7", "usb:1-3", serial_number="0123", usb=usb)
    monkeypatch.setattr("fleet.flashing.ports.usb_ports", lambda: [port])
    target = Target("paper-4")
    part(NodePort, target, board="esp32s3-bc660k", nodes=nodes, serial="0123")
    driver: Any = part(NodePortDriver, target)
    target.activate(driver)
    if refused:
        with pytest.raises(RigFault, match=r"paper-4: .* is the chip's own USB"):
            driver.port()
    else:
        assert driver.port() == port


def test_a_loop_draws_its_mean_and_no_inrush() -> None:
    """700 mA for 5 ms as the line is typed, then a second of 50 and 54 mA, then it waits."""
    trace = Trace(
        [(0, 20_000), (100_000, 700_000), (105_000, 20_000), (400_000, 50_000),
         (900_000, 54_000), (1_400_000, 20_000)], 2_000_000,
    )  # fmt: skip
    found = plateau(trace, 1_000_000)
    assert found is not None
    assert (found.begin_us, found.end_us) == (400_000, 1_400_000)
    assert found.mean_ua() == pytest.approx(52_000)
    assert plateau(Trace([(0, 31_710), (10_000, 47_010)], 18_000), 178_000) is None


def test_a_trace_has_mean_charge_and_picture(tmp_path: Path) -> None:
    trace = Trace([(0, 10), (1_000_000, 1000), (2_000_000, 10)], 4_000_000)
    assert trace.mean_ua() == pytest.approx(257.5)
    assert trace.charge_uc(1_000_000, 2_000_000) == pytest.approx(1000)
    assert (trace.peak_ua(), trace.begin_us) == (1000, 0)
    trace.plot(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
