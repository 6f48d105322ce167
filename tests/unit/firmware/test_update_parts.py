"""Components beside the application, on a node's real cycle: a configuration pack and a modem's
firmware, in their order, each with a way back or a result of its own.
"""

import asyncio
import hashlib
import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
import update_rig as rig
from chip_asyncio import wait_for_ms
from node import config
from node.errors import AtError, SocketError
from node.link.registration import AttachTimeout
from node.wire import cbor, command, receipt, release
from numbers_rig import PowerCut
from update_rig import BOARD, NEW, OLD, Board, Offer

from fleet.schema import BELOW, UNKNOWN

PATCH = {"report_s": 7200}
VERSION = "VERSION_B02"
PACKAGE = bytes(1000)
LISTENS_MS = 37_000  # what a wake of 60 s has left for it


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    for made in rig.boards(monkeypatch):
        wait = wait_for_ms

        async def wait_a_moment(what: Any, ms: int, wait: Any = wait) -> Any:
            # The modem says nothing for as long as the node listens to it: that is over at once.
            return await wait(what, ms if ms > LISTENS_MS else 1)

        monkeypatch.setattr(asyncio, "wait_for_ms", wait_a_moment)
        yield made


class Modem:
    """As a driver, as much of it as the step needs. It has the new firmware so many versions asked
    for later; `refuses`: it never takes the command."""

    FOTA = 'AT+QFOTADL="http://%s"'
    ppp = None
    busy = False

    def __init__(self) -> None:
        self.at = self
        self._pins: dict[str, Any] = {"reset": 7}
        self.version = "VERSION_B01"
        self.asked: list[str] = []
        self.left = 2
        self.refuses = False

    def on_urc(self, *_: Any) -> None:
        pass

    async def command(self, text: str, *_: Any, **__: Any) -> list[str]:
        if text == "AT+CGMR":
            if self.asked:
                self.left -= 1
            return [VERSION if self.asked and self.left < 0 else self.version]
        if self.refuses:
            raise AtError("no", 21)
        self.asked.append(text)
        return []


class State:
    """RTC memory of the life that runs."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def set(self, key: str, value: Any) -> None:
        self.board.state.set(key, value)

    def get(self, key: str, default: Any = None) -> Any:
        return self.board.state.get(key, default)


def pack(values: Any) -> tuple[Any, tuple[int, int, bytes, bytes]]:
    data = cbor.encode(values)
    component = rig.component(data, release.PACK, 1)
    return component, (release.PACK, release.PLAIN, data, b"")


def modem() -> tuple[Any, tuple[int, int, bytes, bytes]]:
    digest = hashlib.sha256(PACKAGE).digest()
    component = release.Component(release.MODEM, len(PACKAGE), digest, VERSION)
    return component, (release.MODEM, release.FETCHED, b"", b"")


def application() -> tuple[Any, tuple[int, int, bytes, bytes]]:
    new = rig.image(NEW)
    part = (release.APPLICATION, release.DEFLATED, rig.deflated(new), b"")
    return rig.component(new), part


def offer(*several: Any) -> Offer:
    return Offer(rig.manifest(*[one for one, _ in several]), [part for _, part in several])


def with_modem(board: Board) -> Modem:
    made = Modem()
    fleet: Any = board.fleet
    fleet.modem, fleet.state, fleet.opened = made, State(board), []
    fleet.config = {**board.config, "fota": "files.test:80/m/"}
    board.nvs["cfg"] = cbor.encode({**cbor.decode(board.nvs["cfg"]), "fota": "files.test:80/m/"})
    return made


def values(board: Board) -> dict[str, Any]:
    held: dict[str, Any] = cbor.decode(board.nvs["cfg"])
    return held


def test_a_pack_is_in_force_on_trial_and_proved(board: Board) -> None:
    board.give(offer(pack(PATCH)))
    board.go(until=lambda: board.stage == release.CONFIRMING)
    assert config.on_trial()
    assert board.go() == [(1, command.DONE, 0)]
    assert values(board)["report_s"] == 7200
    assert values(board)["board"] == BOARD
    assert not config.on_trial()
    assert "cfgp" not in board.nvs
    assert board.nvs["seq"] == NEW
    assert board.runs == OLD


def test_one_that_is_in_force_already_changes_nothing(board: Board) -> None:
    board.nvs["cfg"] = cbor.encode({**values(board), **PATCH})
    starts = board.starts
    board.give(offer(pack(PATCH)))
    assert board.go() == [(1, command.DONE, 0)]
    assert board.starts == starts
    assert not config.on_trial()


def test_one_under_which_the_fleet_is_not_reached_goes_back(board: Board) -> None:
    deaf = board.fleet.open

    async def open_unless_deaf() -> None:
        if values(board).get("apn") == "nowhere":
            raise AttachTimeout("no such network")
        await deaf()

    board.fleet.open = open_unless_deaf  # type: ignore[method-assign]
    board.give(offer(pack({"apn": "nowhere"})))
    board.go(until=lambda: len(board.fleet.results) == 2)
    assert board.fleet.results == [(1, command.REVERTED, 0), (1, release.ROLLED_BACK, 0)]
    assert "apn" not in values(board) or values(board)["apn"] != "nowhere"
    assert board.nvs["seq"] == OLD
    assert not board.stage


@pytest.mark.parametrize(
    ("values_", "code", "key"),
    [({"report_s": 1}, BELOW, "report_s"), ({"no_such_key": 1}, UNKNOWN, "no_such_key")],
)
def test_a_wrong_key_is_named_and_nothing_is_in_force(
    board: Board, values_: dict[str, Any], code: int, key: str
) -> None:
    before = board.nvs["cfg"]
    board.give(offer(pack(values_), application()))
    assert board.go() == [(1, code, config.key_code(key))]
    assert board.nvs["cfg"] == before
    assert board.runs == OLD
    assert "/b.romfs" not in board.files.kept, "known before anything is built"


def test_a_pack_that_is_no_map(board: Board) -> None:
    board.give(offer(pack([1, 2])))
    ((number, result, _),) = board.go()
    assert number == 1
    assert result == 24  # INVALID


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_power_cut_at_any_write_of_nvs_only_delays_a_pack(board: Board, cut: int) -> None:
    import esp32

    board.give(offer(pack(PATCH), application()))
    board.go(until=lambda: board.stage >= release.DOWNLOADING)
    esp32.flash.fuse.left = cut
    try:
        board.go()
    except PowerCut:
        board.cut()
    esp32.flash.fuse.left = None
    assert board.go()[-1:] == [(1, command.DONE, 0)]
    assert values(board)["report_s"] == 7200
    assert board.runs == NEW


def test_the_modem_before_the_application_each_in_its_time(board: Board) -> None:
    made = with_modem(board)
    board.give(offer(application(), modem(), pack(PATCH)))
    board.go(until=lambda: bool(made.asked))
    assert values(board)["report_s"] == 7200
    assert not config.on_trial(), "the pack was proved first"
    assert board.runs == OLD
    name = hashlib.sha256(PACKAGE).digest()[:8].hex()
    assert made.asked == [f'AT+QFOTADL="http://files.test:80/m/{name}"']
    assert made.busy
    assert made._pins == {}
    assert board.go() == [(1, command.DONE, 0)]
    assert len(made.asked) == 1
    assert board.runs == NEW
    assert cbor.decode(board.nvs["fota"]) == [1]
    assert not made.busy


def test_a_modem_that_refuses_ends_it_and_the_application_stays(board: Board) -> None:
    made = with_modem(board)
    made.refuses = True
    board.give(offer(application(), modem()))
    assert board.go() == [(1, release.MODEM_FAILED, 100 * release.INSTALLING + 21)]
    assert board.runs == OLD
    assert "fota" not in board.nvs
    assert not board.stage


def test_a_node_that_is_not_told_from_where_refuses_at_once(board: Board) -> None:
    with_modem(board)
    stored = values(board)
    del stored["fota"]
    board.nvs["cfg"] = cbor.encode(stored)
    board.give(offer(application(), modem()))
    ((_, result, detail),) = board.go()
    assert result == release.MODEM_FAILED
    assert detail % 100 == release.MODEM_NO_ADDRESS
    assert not board.fleet.asked, "nothing was fetched"


def test_a_second_release_with_the_same_firmware_asks_the_modem_alone(board: Board) -> None:
    made = with_modem(board)
    board.give(offer(modem()))
    board.go()
    component, part = modem()
    raw = rig.manifest(component, sequence=NEW + 1)
    board.give(Offer(raw, [part]), 2)
    board.go(until=lambda: len(board.fleet.results) == 2)
    assert board.fleet.results == [(1, command.DONE, 0), (2, command.DONE, 0)]
    assert len(made.asked) == 1


def test_a_modem_is_not_told_while_the_battery_is_low(board: Board) -> None:
    made = with_modem(board)
    board.state.set("events", [9])
    board.give(offer(modem()))
    board.go(12)
    assert board.stage == release.INSTALLING
    assert not made.asked
    board.state.set("events", [])
    assert board.go() == [(1, command.DONE, 0)]


def test_where_https_is_shut_most_contacts_go_by_the_door(board: Board) -> None:
    fleet: Any = board.fleet
    fleet.config = {**board.config, "updates": 8444}
    tried: list[int] = []
    shut: Any = types.ModuleType("node.link.https")

    async def instead(_link: Any) -> None:
        tried.append(len(fleet.asked))
        raise SocketError("nobody listens there", 566)

    shut.instead = instead

    async def door() -> Any:
        sys.modules["node.link.https"] = shut
        importlib.import_module("node.link").https = shut  # type: ignore[attr-defined]
        return fleet

    fleet.door = door
    fleet.most = 2  # blocks of a contact
    board.give(offer(application()))
    assert board.go(200) == [(1, command.DONE, 0)]
    assert board.runs == NEW
    contacts = len(fleet.asked) / 2
    assert tried[:2] == [0, 0]
    assert 2 < len(tried) < contacts


def test_by_https_no_block_goes_by_the_door(board: Board) -> None:
    fleet: Any = board.fleet
    fleet.config = {**board.config, "updates": 8444}
    other = rig.Fleet(board)
    other.streams = fleet.streams
    other._left = 1 << 30
    open_: Any = types.ModuleType("node.link.https")

    async def instead(_link: Any) -> Any:
        return other

    open_.instead = instead

    async def door() -> Any:
        sys.modules["node.link.https"] = open_
        importlib.import_module("node.link").https = open_  # type: ignore[attr-defined]
        return fleet

    fleet.door = door
    board.give(offer(application()))
    assert board.go() == [(1, command.DONE, 0)]
    assert other.asked
    assert not fleet.asked
    assert board.state.get("htp") == 0


def _cut_at(board: Board, operation: int) -> None:
    left = [operation]

    def hook(_what: str, _path: str, _data: bytes) -> None:
        left[0] -= 1
        if not left[0]:
            raise PowerCut

    board.files.hook = hook


@pytest.mark.parametrize("cut", range(1, 100, 4))
def test_a_power_cut_at_any_file_operation_only_delays_all_three(board: Board, cut: int) -> None:
    made = with_modem(board)
    board.give(offer(application(), modem(), pack(PATCH)))
    _cut_at(board, cut)
    assert board.go() == [(1, command.DONE, 0)]
    assert values(board)["report_s"] == 7200
    assert len(made.asked) == 1
    assert board.runs == NEW
    assert not [path for path in board.files.kept if path.startswith("/update/")]


def test_a_fleet_that_is_gone_takes_the_pack_back_and_then_the_release(board: Board) -> None:
    board.give(offer(application(), pack(PATCH)))
    board.go(until=lambda: board.stage == release.CONFIRMING)
    board.fleet.up = False
    board.go(40, lambda: not config.on_trial())
    assert "report_s" not in values(board) or values(board)["report_s"] != 7200
    board.fleet.up = True
    board.go(until=lambda: len(board.fleet.results) == 2)
    assert board.fleet.results == [(1, command.REVERTED, 0), (1, release.ROLLED_BACK, 0)]
    assert board.runs == OLD, "what was to come behind the pack did not"


def test_an_assignment_that_is_taken_back_leaves_the_modem_to_itself(board: Board) -> None:
    made = with_modem(board)
    made.left = 1000
    board.give(offer(application(), modem()))
    board.go(until=lambda: bool(made.asked))
    nothing = release.Assignment(0, b"", 0, 0, [], bytes(16))
    board.fleet.pending.append((2, receipt.UPDATE, rig.signed(nothing, 2)))
    board.state.set("urgent", 2)
    board.go(until=lambda: bool(board.fleet.results))
    assert board.fleet.results == [(1, release.WITHDRAWN, 100 * release.INSTALLING)]
    assert len(made.asked) == 1
    assert cbor.decode(board.nvs["fota"])[0] == 1, "it is not touched before its time is over"
