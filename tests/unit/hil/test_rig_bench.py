"""A place of a bench: its port comes and goes with its supply, whose switch may fail."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rig_fakes
from labgrid import Target
from rig_parts import part

from fleet.flashing.ports import Port
from fleet.wire import cbor
from hil import protocols, supply
from hil.drivers import BoardFlashDriver, NodePortDriver
from hil.errors import NodeFault
from hil.faults import RigFault
from hil.inventory import load
from hil.node import Node
from hil.places import Place
from hil.power import Power
from hil.pytest_plugin.faults import rig_fault
from hil.resources import NodePort
from hil.servers import packets

ROOT = Path(__file__).parents[3]


@pytest.fixture
def driver() -> Any:
    target = Target("paper-3")
    part(NodePort, target, board="devkit", nodes=["devkit"], serial="0123")
    made = part(NodePortDriver, target)
    target.activate(made)
    return made


def plug(monkeypatch: pytest.MonkeyPatch, path: Path, misses: int) -> list[int]:
    """The port is there from that look on; the looks so far."""
    looks = [0]

    def there() -> list[Port]:
        looks[0] += 1
        return [Port("usb:1-3", str(path), "usb:1", "0123")] if looks[0] > misses else []

    monkeypatch.setattr("fleet.flashing.ports.usb_ports", there)
    monkeypatch.setattr("hil.drivers.node_port.LOOK_S", 0.001)
    return looks


def test_a_port_that_does_not_come_is_the_rigs_fault_and_told_as_off(
    monkeypatch: pytest.MonkeyPatch, driver: Any, tmp_path: Path
) -> None:
    looks = plug(monkeypatch, tmp_path, 1 << 30)
    monkeypatch.setattr("hil.drivers.node_port.PLUGGED_S", 0.01)
    assert driver.told() == {"state": "off"}
    assert looks == [1]  # nothing is waited for
    with pytest.raises(RigFault, match="paper-3: no port has the serial number '0123'"):
        driver.port()
    with pytest.raises(RigFault, match="nothing presses buttons"):
        driver.press()


def test_a_port_that_enumerates_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, driver: Any, tmp_path: Path
) -> None:
    looks = plug(monkeypatch, tmp_path, 5)
    assert driver.port().name == "usb:1-3"
    assert looks == [6]
    assert driver.told()["port"] == "usb:1-3"


def test_a_port_that_nobody_may_open_yet_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, driver: Any, tmp_path: Path
) -> None:
    late = tmp_path / "ttyUSB0"
    looks = plug(monkeypatch, late, 0)

    def may(path: str, _: int) -> bool:
        return looks[0] > 3

    monkeypatch.setattr("hil.drivers.node_port.os.access", may)
    driver.port()
    assert looks == [4]


def test_whether_a_node_sleeps_is_told_by_what_it_draws(
    driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(
        "hil.drivers.node_port.time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: 0)
    )
    driver.heard_s = 980.0
    assert driver.asleep()  # by silence
    meter = part(rig_fakes.PaperMeter, driver.target)
    assert driver.asleep()
    meter.ua = 30_000  # silent, and in a contact
    assert not driver.asleep()
    meter.ua = 8
    part(rig_fakes.PaperModem, driver.target)
    driver.press("button")  # it wakes, though the meter does not show it yet
    assert not driver.asleep()
    now[0] += 3
    assert driver.asleep()
    meter.begun_us = meter.mark() - 1  # it was wired anew just now: nobody knows yet
    assert not driver.asleep()


def test_a_stimulus_board_that_the_file_names_later_presses_buttons() -> None:
    target = load(ROOT / "hil/rigs/bench-example.yaml").environment.get_target("lamp-1")
    found = target.get_driver(NodePortDriver, activate=False)
    done: list[Any] = []
    stimulus = target.get_driver(protocols.Stimulus, activate=False)
    stimulus.on_activate = lambda: None
    stimulus.do = lambda **asked: done.append(asked)
    target.activate(found)
    found.press("button")
    assert done == [{"level": "button", "value": 1}, {"level": "button", "value": 0}]


def stood() -> tuple[Any, rig_fakes.PaperBoard, Power, rig_fakes.PaperModem]:
    strategy, board, _ = rig_fakes.place()
    modem = part(rig_fakes.PaperModem, strategy.target)
    strategy.bring("online")
    board.did.clear()
    return strategy, board, Power(strategy), modem


def test_a_supply_that_goes_is_gone_long_enough_and_the_modem_s_with_it() -> None:
    strategy, board, power, modem = stood()
    power.cycle()
    assert (board.did, modem.did) == ([f"wait {supply.DISCHARGED_S}"], ["power_cycle"])
    assert board.is_on
    node = Node(Place("paper-1", "devkit", strategy.target))
    node.reset("power")
    assert board.did[1:] == [f"wait {supply.DISCHARGED_S}"]
    assert len(modem.did) == 2
    power.off()
    board.now_us = lambda: 60_000_000  # type: ignore[method-assign]
    power.on()  # it was dark meanwhile
    assert len(board.did) == 2


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (subprocess.CalledProcessError(1, "uhubctl", b"No compatible devices\n"), "No compatible"),
        (FileNotFoundError(2, "No such file", "uhubctl"), "uhubctl"),
        (EOFError(), "EOFError"),
    ],
)
def test_a_switch_that_fails_is_the_rigs_fault(error: Exception, text: str) -> None:
    strategy, board, power, _ = stood()

    def fail() -> None:
        raise error

    board.off = board.on = fail  # type: ignore[method-assign]
    for what in (power.off, power.on, power.cycle, lambda: strategy.transition("off")):
        with pytest.raises(RigFault, match="paper-1: PaperBoard cannot switch") as raised:
            what()
        assert text in str(rig_fault(raised.value))


def test_a_console_that_stays_away_after_a_power_on_is_the_rigs_fault() -> None:
    strategy, board, _, _ = stood()

    def gone() -> None:
        raise RigFault("paper-1: no port")

    board.open = gone  # type: ignore[method-assign]
    node = Node(Place("paper-1", "devkit", strategy.target))
    with pytest.raises(RigFault, match="no port"):
        node.reset("power")


def test_what_a_test_did_to_modem_and_stimulus_is_gone_before_the_next() -> None:
    strategy, _, _, modem = stood()
    place = Place("paper-1", "devkit", strategy.target)
    strategy.target.deactivate(modem)
    place.begin()
    assert modem.did == []  # it begins now
    place.begin()
    assert "renew" in modem.did


def test_all_logs_begin_with_the_test_in_the_node_s_time() -> None:
    """An hour of a virtual board's is half a second of the fleet's."""
    strategy, board, fleet = rig_fakes.place()
    part(rig_fakes.PaperMeter, strategy.target)
    place = Place("paper-1", "devkit", strategy.target)
    place.fleet = fleet
    place.begin()
    board.now_us = lambda: 4_000_000  # type: ignore[method-assign]
    board.at_us = lambda real_us: 4_000_000 + 7200 * real_us  # type: ignore[method-assign]
    mark = place.mark()
    packets.coap(packets.CAME, b"\x40\x02\x00\x01")
    told = {"timestamp": "1970-01-01T00:00:00.500000Z", "event": "claimed"}
    fleet.log = lambda since=0: [told]  # type: ignore[method-assign]
    logs = place.logs(mark)
    assert logs.fleet == ' 3600.000 {"event": "claimed"}'
    assert logs.coap.endswith("> CON 0.02 id 1 4 bytes")
    assert logs.mqtt == ""
    assert logs.current == [(6_000_000, 8), (6_000_001, 8)]


@pytest.mark.parametrize("said", ["", "zz", "ff", cbor.encode([1]).hex()])
def test_a_configuration_that_is_none_is_the_nodes_fault(said: str) -> None:
    strategy, _, _ = rig_fakes.place()
    flash: Any = BoardFlashDriver

    @contextmanager
    def visit() -> Iterator[Any]:
        yield SimpleNamespace(execute=lambda _: said)

    me = SimpleNamespace(prompt=SimpleNamespace(visit=visit), target=strategy.target)
    with pytest.raises(NodeFault, match="paper-1: its configuration is"):
        inspect_unwrap(flash.configuration)(me)


def inspect_unwrap(method: Any) -> Any:
    """Without labgrid's demand that the driver is active."""
    while hasattr(method, "__wrapped__"):
        method = method.__wrapped__
    return method
