"""Ports that go away with the reset that was asked for, as those of chips with their own USB."""

import errno
import termios
from typing import Any

import pytest

from fleet.flashing import console, lines, repl
from fleet.flashing.errors import LinkLost
from fleet.flashing.ports import Port

BRIDGE = Port("usb:1-3:1.0", "/dev/ttyUSB0", "usb:1", usb="10c4:ea60")
NATIVE = Port("usb:1-4:1.0", "/dev/ttyACM0", "usb:1", usb="303a:4001", by_path="/dev/by-path/x")


class Line:
    """Its board takes `number` with it when EN falls."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.closed = False
        self.in_waiting = 0

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "rts" and value:
            raise OSError(self.number, "gone")
        super().__setattr__(name, value)

    def reset_input_buffer(self) -> None:
        raise termios.error(self.number, "gone")

    def write(self, _: bytes) -> None:
        raise OSError(self.number, "gone")

    def read(self, _: int) -> bytes:
        raise OSError(self.number, "gone")

    def close(self) -> None:
        self.closed = True


def test_a_native_port_is_opened_by_where_it_is_plugged() -> None:
    assert (BRIDGE.path, NATIVE.path) == ("/dev/ttyUSB0", "/dev/by-path/x")


def test_a_reset_takes_a_native_port_away_and_a_bridge_must_stay() -> None:
    lines.reset(NATIVE, Line(errno.EIO))
    lines.reset(BRIDGE, Line(errno.ENOTTY))  # a pseudo-terminal
    with pytest.raises(LinkLost, match="went away at a reset"):
        lines.reset(BRIDGE, Line(errno.EIO))


def test_a_console_that_is_cleared_while_its_port_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "LOOK", 0.0)
    opened = console.Console(NATIVE)
    opened.line = line = Line(errno.EIO)
    opened.clear()
    monkeypatch.setattr(opened, "_open", lambda: None)
    assert opened.read(1) == b""
    assert line.closed


class Transport:
    def __init__(self, line: Line) -> None:
        self.serial = line

    def close(self) -> None:
        self.serial.close()

    def enter_raw_repl(self, **_: object) -> None:
        """It is there."""

    def exec_raw(self, _: str, **__: object) -> tuple[bytes, bytes]:
        """The cause of the reset before."""
        return b"4\r\n", b""


def test_the_prompt_of_a_native_port_is_looked_for_where_it_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Transport] = []

    def transport(device: str) -> Transport:
        assert device == NATIVE.path
        if len(made) == 1 and not made[0].serial.closed:
            raise AssertionError("the old one is open still")
        made.append(Transport(Line(errno.EIO)))
        return made[-1]

    def interrupts(which: Transport, _: float) -> bool:
        if which is made[0]:
            raise OSError(errno.EIO, "gone")
        return True

    monkeypatch.setattr(repl, "_transport", transport)
    monkeypatch.setattr(repl, "_interrupts", interrupts)
    monkeypatch.setattr(repl, "LOOK", 0.0)
    found, cause = repl._prompt(NATIVE)
    assert found is made[1]  # type: ignore[comparison-overlap]
    assert cause == 4
    assert not made[1].serial.closed


def test_sabotage_without_opening_again_no_native_board_is_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    only = Transport(Line(errno.EIO))

    def gone(_: Transport, __: float) -> bool:
        raise termios.error(errno.EIO, "gone")

    monkeypatch.setattr(repl, "_transport", lambda _: only)
    monkeypatch.setattr(repl, "_again", lambda transport, _: transport)
    monkeypatch.setattr(repl, "_interrupts", gone)
    with pytest.raises(repl.ReplError, match="no prompt"):
        repl._prompt(NATIVE)
    assert only.serial.closed
