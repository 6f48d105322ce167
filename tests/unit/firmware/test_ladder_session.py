"""The session of one wake: its pins, its bearers, PSM, and what it keeps for the next wake."""

import importlib
import sys
import types
from typing import Any

import pytest
from firmware_modules import fresh
from modem_bench import jumping
from node.errors import AtError, ConfigError, LinkError, ModemMute, SocketError
from scripted_modem import Pin, ScriptedModem

HOME = '+CEREG: 4,1,"5A1C","0B2F3D11",9,,,"00000101","01000001"\nOK'  # T3324 10 s, T3412 10 h
CONFIG = {
    "modem": "bc660k",
    "apn": "",
    "attach_s": 60,
    "node": "1gntj14d2p",
    "host": "fleet.example",
    "port": 8883,
    "pins": {"tx": 17, "rx": 18, "reset": 7, "psm_exit": 15, "supply": 34},
}


class Memory(dict[str, Any]):
    """RtcState's get and set."""

    set = dict.__setitem__


class Door:
    """In the place of a door: opens over what `Door.opens` names."""

    opens: tuple[object, ...] = ()
    log: list[object] = []  # noqa: RUF012

    def __init__(self, bearer: Any) -> None:
        self.bearer = bearer

    async def open(self) -> None:
        Door.log.append(("open", self.bearer))
        if self.bearer not in Door.opens:
            raise SocketError("no way", 566)

    async def close(self) -> None:
        Door.log.append(("close", self.bearer))


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The session module on a board whose UART is a scripted modem; `pins` that it made."""
    machine: Any = types.ModuleType("machine")
    machine.modem = ScriptedModem(
        {"AT+CEREG?": HOME, "AT+CFUN?": "+CFUN: 1\nOK", "AT+CPSMS?": "+CPSMS: 0\nOK"}
    )
    machine.pins = {}
    machine.UART = lambda *_, **__: machine.modem

    def make(number: int, mode: int) -> Pin:
        assert mode == 3
        machine.pins[number] = Pin(str(number))
        return machine.pins[number]  # type: ignore[no-any-return]

    machine.Pin = make
    make.OUT = 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "machine", machine)
    door: Any = types.ModuleType("node.link.door")

    async def open_door(session: Any, bearer: Any) -> Door:
        made = Door(bearer)
        session.opened.append(made)
        await made.open()
        return made

    door.open_door = open_door
    monkeypatch.setitem(sys.modules, "node.link.door", door)
    Door.log = []
    machine.session = fresh("link.session")
    return machine


def contact(board: Any, state: Memory, **config: Any) -> tuple[Any, Any]:
    """(session, door or the error) of one contact, closed."""

    async def main() -> tuple[Any, Any]:
        session = board.session.Session({**CONFIG, **config}, state)
        Door.opens = Door.opens or (session.modem,)
        got: Any = None
        try:
            await session.open()
            got = await session.door()
        except (LinkError, ConfigError) as e:
            got = e
        finally:
            await session.close()
        return session, got

    Door.opens = config.pop("opens", ())
    return jumping(main)


def test_the_modems_pins_are_outputs_and_no_other_is_touched(board: Any) -> None:
    session, door = contact(board, Memory())
    assert isinstance(door, Door)
    assert set(board.pins) == {15}  # the reset pin has its time when the modem is mute
    assert session.modem._pins["psm_exit"].levels == [1, 0]
    assert Door.log == [("open", session.modem), ("close", session.modem)]
    assert board.modem.log[-1] == "AT+QSCLK=1"


def test_psm_is_not_asked_for_without_a_wish(board: Any) -> None:
    contact(board, Memory(), tau_s=0, active_s=60)
    assert not board.modem.count("AT+CPSMS")


def test_psm_is_asked_for_when_it_is_not_what_the_modem_asked_for_already(board: Any) -> None:
    contact(board, Memory(), tau_s=36_000, active_s=10)
    assert board.modem.count("AT+CPSMS=1") == 1


def test_psm_that_is_as_wished_costs_two_short_questions(board: Any) -> None:
    board.modem.replies["AT+CPSMS?"] = '+CPSMS: 1,,,"00101010","00000101"\nOK'
    contact(board, Memory(), tau_s=36_000, active_s=10)
    assert not board.modem.count("AT+CPSMS=")


def test_a_refused_psm_costs_energy_and_not_the_contact(board: Any) -> None:
    board.modem.replies['AT+CPSMS=1,,,"00101010","00000101"'] = "+CME ERROR: 4"
    _, door = contact(board, Memory(), tau_s=36_000, active_s=10)
    assert isinstance(door, Door)


def test_modules_that_are_done_with_are_gone_when_the_door_opens(board: Any) -> None:
    contact(board, Memory(), tau_s=36_000, active_s=10)
    loaded = {name for name in sys.modules if name.startswith("node.link.")}
    for name in ("registration", "nettime", "ladder", "saving", "timers"):
        assert f"node.link.{name}" not in loaded


@pytest.mark.parametrize("names", [[], ["modem"]])
def test_the_modems_own_sockets_are_the_usual_bearer(board: Any, names: list[str]) -> None:
    session, door = contact(board, Memory(), bearers=names)
    assert door.bearer is session.modem


class Line:
    """Another bearer."""

    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1
        Door.log.append("hung up")


@pytest.fixture
def line(board: Any, monkeypatch: pytest.MonkeyPatch) -> Line:
    """A bearer "line" that dials at once."""
    made = Line()
    module: Any = types.ModuleType("node.link.line")

    async def open_bearer(modem: Any, config: dict[str, Any]) -> Line:
        assert modem.at is not None
        assert config["host"] == "fleet.example"
        return made

    module.open_bearer = open_bearer
    monkeypatch.setitem(sys.modules, "node.link.line", module)
    bearers = importlib.import_module("node.link.bearers")
    monkeypatch.setitem(bearers.BEARERS, "line", "node.link.line")
    return made


def test_the_first_bearer_that_leads_to_the_fleet_is_taken(board: Any, line: Line) -> None:
    session, door = contact(board, Memory(), bearers=["line", "modem"], opens=(line,))
    assert door.bearer is line
    assert Door.log == [("open", line), ("close", line), "hung up"]
    assert not session.opened


def test_what_a_bearer_left_open_is_closed_before_the_next_is_tried(
    board: Any, line: Line
) -> None:
    session, door = contact(board, Memory(), bearers=["line", "modem"])
    assert door.bearer is session.modem
    assert Door.log[:4] == [("open", line), ("close", line), "hung up", ("open", session.modem)]
    assert line.closed == 1


def test_the_last_bearers_error_is_told(board: Any, line: Line) -> None:
    _, error = contact(board, Memory(), bearers=["modem", "line"], opens=("none",))
    assert isinstance(error, SocketError)
    assert error.cause == 566
    assert line.closed == 1


def test_a_bearer_that_is_not_there_is_named(board: Any) -> None:
    _, error = contact(board, Memory(), bearers=["pigeon"])
    assert isinstance(error, ConfigError)
    assert "pigeon" in str(error)


def test_a_mute_modem_leaves_its_rung_and_its_counts_for_the_next_wake(board: Any) -> None:
    board.modem.mute = True
    state = Memory()
    _, error = contact(board, state)
    assert isinstance(error, ModemMute)
    assert state == {"fota": 0, "rung": 2, "rungs": [1, 1, 1, 0, 0]}
    assert board.pins[7].levels == [1, 0]


def test_a_sim_error_reaches_the_caller_with_its_number(board: Any) -> None:
    board.modem.replies |= {"AT+CEREG?": "+CEREG: 3,2\nOK", "AT+CPIN?": "+CME ERROR: 10"}
    _, error = contact(board, Memory())
    assert isinstance(error, AtError)
    assert error.cause == 10


def test_addresses_outlast_the_wake(board: Any) -> None:
    state = Memory()

    async def main() -> None:
        session = board.session.Session(CONFIG, state)
        board.modem.after['AT+QIDNSGIP=0,"fleet.example"'] = (1.0, "+QIDNSGIP: 192.0.2.7")
        assert await session.modem.resolve("fleet.example", 30_000) == "192.0.2.7"
        await session.close()

    jumping(main)
    assert [entry[:2] for entry in state["names"]] == [["fleet.example", "192.0.2.7"]]
    session, _ = contact(board, state)
    assert session.modem.names == state["names"]
