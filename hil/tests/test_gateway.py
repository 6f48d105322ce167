"""A gateway and the meters on its RS-485 line: three protocols, and one device that is dead."""

import os
import re
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from fleet.wire import cjt188, dlt645
from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import Stimulus

SAMPLE_S = 60
SAMPLE_US = SAMPLE_S * 10**6
SLOW_MS = 3000  # an answer that nobody waits for any more, and that comes into the next one's
POWER, METER, WATER, DEAD = "17", "000000000416", "12345678901234", "99"
WIRED = {
    "sample_s": SAMPLE_S, "report_s": 120, "report_records": 4, "backoff_most_s": SAMPLE_S,
    "devices": [[1, "sdm120", POWER], [2, "dlt645", METER], [3, "cjt188-water", WATER]],
}  # fmt: skip
WITH_A_DEAD_ONE = {**WIRED, "devices": [*WIRED["devices"], [4, "sdm120", DEAD]]}  # type: ignore[misc]

pytestmark = pytest.mark.needs("stimulus")


def hang(stimulus: Stimulus) -> None:
    """All three, with values that no other of them shows."""
    stimulus.sub_device("sdm120", POWER, {
        "voltage": 230.5, "current": 1.25, "active_power": 288, "power_factor": 1,
        "frequency": 49.98, "energy": 1234.5,
    })  # fmt: skip
    stimulus.sub_device("dlt645", METER, {
        "voltage": 221.7, "current": 3.5, "active_power": 770, "power_factor": 0.95,
        "energy": 98765.43,
    })  # fmt: skip
    stimulus.sub_device("cjt188-water", WATER, {"water_volume": 321.5, "meter_valve": 0})


def wait_value(fleet: Fleet, node: Node, quantity: str, value: int, since: int) -> Any:
    """Until it shows that."""
    return fleet.wait_reading(node, quantity, 900, since, lambda one: one.value == value)


@pytest.mark.requirement("K-GWY-01")
@pytest.mark.node("gateway", config=WIRED)
def test_devices_of_three_protocols_are_read_as_they_show(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    hang(stimulus)
    mark = fleet.mark()
    shown = {
        wait_value(fleet, node, quantity, value, mark).asset_id
        for quantity, value in (("frequency", 4998), ("energy", 9876543), ("water_volume", 321500))
    }
    assert len(shown) == 3, "each is an asset of its own"
    wait_value(fleet, node, "voltage", 2305, mark)
    wait_value(fleet, node, "voltage", 2217, mark)
    stimulus.sub_values(METER, {"energy": 98765.99})
    wait_value(fleet, node, "energy", 9876599, mark)


@pytest.mark.requirement("K-GWY-02", "K-ALM-03")
@pytest.mark.node("gateway", config=WITH_A_DEAD_ONE)
@pytest.mark.parametrize(
    ("fails", "mended"),
    [({"dead": True}, {"dead": False}), ({"delay_ms": SLOW_MS}, {"delay_ms": 60})],
    ids=["dead", "slow"],
)
def test_a_device_that_fails_is_told_and_costs_no_reading_of_another(
    node: Node, fleet: Fleet, stimulus: Stimulus, fails: dict[str, Any], mended: dict[str, Any]
) -> None:
    hang(stimulus)
    stimulus.sub_device("sdm120", DEAD, {"frequency": 60}, **fails)
    mark = fleet.mark()
    wait_value(fleet, node, "frequency", 4998, mark)
    began_us = node.now_us
    fleet.wait_alarm("device-silent", node, 900)
    node.wait(3 * SAMPLE_S)
    due = set(range(began_us // SAMPLE_US + 1, node.now_us // SAMPLE_US))
    assert len(due) >= 2

    def missed() -> dict[str, set[int]]:
        return {
            quantity: due - {
                one.time_us // SAMPLE_US
                for one in fleet.readings(node, quantity, mark)
                if one.quality == 0
            }
            for quantity in ("frequency", "energy", "water_volume")
        }  # fmt: skip

    fleet.until(lambda: not any(missed().values()), 300)
    assert not any(missed().values()), missed()
    stimulus.sub_values(DEAD, {"frequency": 60}, **mended)
    wait_value(fleet, node, "frequency", 6000, mark)
    fleet.wait_over("device-silent", node, 900)


@pytest.mark.requirement("K-GWY-02")
@pytest.mark.needs("virtual")  # a stimulus board spoils no answers
@pytest.mark.node("gateway", config=WIRED)
def test_a_noisy_device_is_asked_again_until_its_answer_is_whole(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    hang(stimulus)
    stimulus.sub_values(METER, {"energy": 55.55}, spoil_every=2)
    mark = fleet.mark()
    wait_value(fleet, node, "energy", 5555, mark)
    node.wait(4 * SAMPLE_S)
    fleet.wait_report(node, 300)
    shown = {one.value for one in fleet.readings(node, "energy", mark)}
    assert shown <= {5555, 123450}, "nothing that a spoilt answer said"


class Station(threading.Thread):
    """A master station behind `kapok node sub pass`: it sends `frames`, and keeps `answer`."""

    def __init__(self, fleet: Fleet, node: Node, frames: list[bytes]) -> None:
        super().__init__(daemon=True)
        self._frames = frames
        self.answer = b""
        self._told: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fleet", "--data", str(fleet.data), "node", "sub", "pass",
             node.id, "--seconds", "30", "--wait", "900", "--by", "Li Wei"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip

    def run(self) -> None:
        """Until the answer is there, or the session did not come about."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._told.append(line)
            if found := re.search(r"connects to 127\.0\.0\.1:(\d+)", line):
                with socket.create_connection(("127.0.0.1", int(found[1])), 60) as behind:
                    behind.sendall(b"".join(self._frames))
                    while not self.answer.endswith(b"\x16") and (data := behind.recv(512)):
                        self.answer += data
                break

    def __enter__(self) -> "Station":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """However the test ended, its process has."""
        if self._process.poll() is None:
            self._process.kill()
            self.join()  # which reads what it says
            self._process.communicate()

    def end(self) -> str:
        """What it printed."""
        self._process.terminate()
        out, err = self._process.communicate(timeout=60)
        self.join()
        return "".join(self._told) + out + err


@pytest.mark.requirement("K-GWY-03")
@pytest.mark.node("gateway", config=WIRED)
def test_a_master_station_reads_one_device_and_writes_to_none(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    hang(stimulus)
    mark = fleet.mark()
    wait_value(fleet, node, "water_volume", 321500, mark)
    voltage = 0x02010100  # DL/T 645-2007, table A.2
    frames = [
        cjt188.valve_request(cjt188.COLD_WATER, WATER, cjt188.CLOSE, 0),
        dlt645.encode(METER, dlt645.CONTROL, bytes(8)),
        dlt645.WAKE + dlt645.read_request(METER, voltage),
    ]
    with Station(fleet, node, frames) as station:
        node.until(lambda: not station.is_alive(), 900)
        told = station.end()
    data, _ = dlt645.read_reply(station.answer, METER, voltage)
    assert dlt645.bcd(data) == 2217
    assert told.count("not passed") == 2
    node.wait(2 * SAMPLE_S)
    assert {one.value for one in fleet.readings(node, "meter_valve", mark)} == {0}
