"""A modem twin beside a real node, under a rig's control: its driver, its process, its socket."""

import os
import re
import signal
import threading
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labgrid import Target
from labgrid.binding import BindingState
from rig_parts import part

from hil.drivers import TwinDriver
from hil.faults import RigFault
from hil.resources import ModemTwinLine

WAIT_S = 30.0


class Node:
    """The node's end of the wires to the modem."""

    def __init__(self) -> None:
        self._fd, slave = os.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave
        self._heard = b""
        self._came = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                data = os.read(self._fd, 4096)
            except OSError:
                return
            with self._came:
                self._heard += data
                self._came.notify_all()

    def expect(self, pattern: bytes) -> bytes:
        with self._came:
            assert self._came.wait_for(lambda: re.search(pattern, self._heard), WAIT_S), (
                self._heard
            )
            heard, self._heard = self._heard, b""
        return heard

    def ask(self, command: bytes, pattern: bytes = rb"OK\r\n|ERROR") -> bytes:
        os.write(self._fd, command + b"\r")
        return self.expect(pattern)

    def close(self) -> None:
        os.close(self._slave)
        os.close(self._fd)


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.close()


def driver(port: str, **more: Any) -> TwinDriver:
    target = Target("bench-1")
    part(ModemTwinLine, target, port=port, family="bc660k", seed=7, **more)
    return part(TwinDriver, target)


def test_a_twin_beside_a_real_node_is_handled_as_one_on_the_virtual_board(node: Node) -> None:
    twin = driver(node.port)
    twin.target.activate(twin)
    try:
        node.expect(b"RDY")
        assert b"READY" in node.ask(b"AT+CPIN?")
        mark = twin.mark()
        assert twin.set(sim="pin")["sim"] == "SIM PIN"
        assert b"SIM PIN" in node.ask(b"AT+CPIN?")
        twin.set({"sim": "absent", "radio.loss": 0.5})
        assert b"ERROR" in node.ask(b"AT+CPIN?")
        assert [line.text for line in twin.said("CPIN", mark, "host")] == ["AT+CPIN?"] * 2
        assert "< +CPIN: SIM PIN" in twin.transcript(mark)
        boots = twin.status()["counters"]["boots"]
        twin.power_cycle()
        node.expect(b"RDY")
        assert twin.status()["counters"]["boots"] == boots + 1
        twin.renew()  # the next test
        node.expect(b"RDY")
        assert b"READY" in node.ask(b"AT+CPIN?")
        with pytest.raises(RigFault, match="bench-1: modem twin: sim cannot be 'stolen'"):
            twin.set(sim="stolen")
    finally:
        twin.target.deactivate(twin)
    assert twin.state is BindingState.bound


def test_a_twin_that_cannot_start_is_a_fault_of_the_rig(tmp_path: Path) -> None:
    twin = driver(str(tmp_path / "ttyUSB9"))
    with pytest.raises(RigFault, match=r"the modem twin on .* did not start: .*ttyUSB9"):
        twin.target.activate(twin)


def test_a_twin_that_died_is_a_fault_of_the_rig(node: Node) -> None:
    twin = driver(node.port)
    twin.target.activate(twin)
    try:
        assert twin._program is not None
        twin._program.end(signal.SIGKILL)
        with pytest.raises(RigFault, match="the modem twin has died"):
            twin.status()
    finally:
        twin.target.deactivate(twin)
