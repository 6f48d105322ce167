"""A board's control lines: what opens a port resets nothing."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import serial as pyserial

from fleet.flashing import console
from fleet.flashing.ports import Port

serial: Any = pyserial  # untyped


class Bridge:
    """Two transistors between a bridge's outputs and the chip, as on Espressif's kits: EN is low
    while RTS is on and DTR is not. Linux turns both on at once when a port is opened.
    """

    def __init__(self) -> None:
        self.dtr = self.rts = True
        self.resets = 0

    def move(self, dtr: bool, rts: bool) -> None:
        self.dtr, self.rts = dtr, rts
        self.resets += rts and not dtr


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Bridge:
    there = Bridge()
    monkeypatch.setattr(
        serial.Serial, "_update_dtr_state", lambda s: there.move(s._dtr_state, there.rts)
    )
    monkeypatch.setattr(
        serial.Serial, "_update_rts_state", lambda s: there.move(there.dtr, s._rts_state)
    )
    return there


@pytest.fixture
def device() -> Iterator[str]:
    ours, theirs = os.openpty()
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def test_a_console_resets_no_board_at_its_opening(bridge: Bridge, device: str) -> None:
    with console.Console(Port(device, device, "")):
        assert bridge.resets == 0


def test_sabotage_lines_that_pyserial_lowers_one_by_one_reset_the_board(
    bridge: Bridge, device: str
) -> None:
    line = serial.Serial()
    line.port, line.dtr, line.rts = device, False, False
    line.open()
    line.close()
    assert bridge.resets == 1
