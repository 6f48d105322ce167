"""Whose time a node takes, and that nobody puts it back behind what the fleet has signed."""

import asyncio
from collections.abc import Iterator
from typing import Any

import cycle_rig
import esp32
import pytest
from cycle_rig import NOW, Board
from firmware_modules import fresh
from hypothesis import given
from hypothesis import strategies as st
from node.errors import SocketError
from node.link import sntp
from node.wire import receipt, uplink

DAY = 86400
CLOCK = 1084


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from cycle_rig.boards(monkeypatch)


def timekeeping() -> Any:
    return fresh("timekeeping")


def network(board: Board, seconds: int | None) -> None:
    async def told() -> int | None:
        return seconds

    board.link.network_time = told  # type: ignore[method-assign,assignment]


def test_the_network_s_time_is_taken_and_makes_the_clock_sure(board: Board) -> None:
    board.state.set("clock_sure", 0)
    network(board, NOW + 5000)
    board.wake()
    assert (board.now, board.state.get("clock_sure")) == (NOW + 5000, 1)
    assert uplink.ASKS_TIME not in board.status()


def test_a_step_of_a_second_or_two_is_jitter(board: Board) -> None:
    network(board, NOW + 2)
    board.wake()
    assert board.now == NOW


def test_a_node_that_nobody_told_the_time_asks_the_fleet_and_takes_its_word(board: Board) -> None:
    board.state.set("clock_sure", 0)
    answer = board.link._answer

    def timed(epoch: int, ranges: Any) -> bytes:
        got = receipt.decode(answer(epoch, ranges))
        raw: bytes = receipt.encode(got.epoch, got.ranges, got.items, got.waiting, NOW + 777)
        return raw

    board.link._answer = timed  # type: ignore[method-assign]
    board.wake()
    assert board.status()[uplink.ASKS_TIME] == 1
    assert (board.now, board.state.get("clock_sure")) == (NOW + 777, 1)
    board.wake()
    assert uplink.ASKS_TIME not in board.status()


def test_a_sure_clock_is_not_set_by_the_fleet_s_word(board: Board) -> None:
    timekeeping().signed(board.state, NOW + 777)
    assert board.now == NOW


def test_attack_a_false_cell_cannot_put_the_clock_back_behind_what_was_signed(
    board: Board,
) -> None:
    timekeeping().signed(board.state, NOW)
    network(board, NOW - 400 * DAY)
    board.wake()
    assert board.now == NOW
    board.wake()
    told = [dict(r.values) for each in board.link.reports for r in each.records]
    assert any(each.get(CLOCK) == 1 for each in told), "the fleet hears of the attempt"
    assert board.state.get("log")


def test_sabotage_without_a_floor_the_false_cell_wins(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    timekeeping().signed(board.state, NOW)
    board.state.set("vch", 0)
    monkeypatch.setattr(timekeeping(), "floor", lambda: 0)
    network(board, NOW - 400 * DAY)
    board.wake()
    assert board.now == NOW - 400 * DAY


def test_the_floor_outlives_the_power_and_costs_a_write_a_day_at_most(board: Board) -> None:
    for hour in range(48):
        timekeeping().signed(board.state, NOW + 3600 * hour)
    # One for the first word, one for the next day: a set and a commit each.
    assert esp32.flash.operations == 4
    board.now = 0
    board.state.set("clock_sure", 0)
    timekeeping().guess(board.state, lambda: cycle_rig.Journal(0))
    assert board.now == NOW + DAY


def test_a_guess_goes_on_from_the_newest_record(board: Board) -> None:
    board.now = 0
    journal = cycle_rig.Journal(0)
    journal.last_body = uplink.encode_body(NOW + 60, 0, [(1, 2)])
    timekeeping().guess(board.state, lambda: journal)
    assert (board.now, board.state.get("clock_sure")) == (NOW + 60, 0)


class Server:
    """A modem with a time server behind it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.peers: list[tuple[str, int]] = []
        self.closed = 0

    async def datagram(self, host: str, port: int, _ms: int) -> "Server":
        self.peers.append((host, port))
        return self

    async def send(self, data: bytes, _release: int) -> None:
        self.asked.append(bytes(data))

    async def recv(self) -> bytes:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return reply(self.asked[-1], NOW, **answer)

    async def close(self) -> None:
        self.closed += 1


def reply(request: bytes, seconds: int, first: int = 0x24, stratum: int = 2) -> bytes:
    """As a server answers: its time, and the question's stamp."""
    ntp = (seconds + 2_208_988_800) & 0xFFFFFFFF
    head = bytes([first, stratum]) + bytes(22)
    return head + request[40:48] + bytes(8) + ntp.to_bytes(4, "big") + bytes(4)


def ask(server: Any, name: str = "ntp.example") -> int | None:
    told: int | None = asyncio.run(sntp.ask(server, name))
    return told


def test_a_time_server_is_asked_once_and_believed() -> None:
    server = Server({})
    assert ask(server, "ntp.example:1123") == NOW
    assert (server.peers, server.closed) == ([("ntp.example", 1123)], 1)
    assert len(server.asked[0]) == 48


def test_a_server_that_is_not_synchronised_or_refuses_is_not_believed() -> None:
    for bad in ({"first": 0xE4}, {"stratum": 0}, {"stratum": 16}, {"first": 0x23}):
        assert ask(Server(bad)) is None
    assert ask(Server(SocketError("gone"))) is None
    assert ask(Server({}), "name:no-port") is None


@given(st.binary(max_size=100))
def test_attack_any_other_answer_is_no_time(data: bytes) -> None:
    assert sntp.told(data, b"\x01\x02\x03\x04\x05\x06\x07\x08") is None or data[24:32] == bytes(
        range(1, 9)
    )


@given(st.integers(1_577_836_800, 4_000_000_000))
def test_times_of_both_eras_are_read(seconds: int) -> None:
    stamp = bytes(8)
    assert sntp.told(reply(bytes(48), seconds), stamp) == seconds


def test_the_configured_server_is_asked_only_where_nobody_knows(board: Board) -> None:
    server = Server({})
    link: Any = board.link
    link.modem = server
    config = {**cycle_rig.CONFIG, "ntp": "ntp.example"}
    asyncio.run(timekeeping().learn(board.state, link, config))
    assert not server.asked
    board.state.set("clock_sure", 0)
    board.now = 0
    asyncio.run(timekeeping().learn(board.state, link, config))
    assert (board.now, len(server.asked)) == (NOW, 1)


def test_attack_a_false_cell_does_not_set_a_clock_that_the_fleet_has_confirmed(
    board: Board,
) -> None:
    timekeeping().signed(board.state, NOW)
    for false in (NOW + 400 * DAY, NOW + DAY + 1):
        network(board, false)
        board.wake()
        assert board.now == NOW
    network(board, NOW + 3600)
    board.wake()
    assert board.now == NOW + 3600, "what may be drift is mended"


def test_attack_a_false_future_ends_with_the_fleet_s_word(board: Board) -> None:
    network(board, NOW + 400 * DAY)
    board.wake()
    assert board.now == NOW + 400 * DAY
    timekeeping().signed(board.state, NOW)
    assert board.now == NOW
    board.wake()
    assert board.now == NOW, "the false cell is heard no more"


def test_a_clock_that_lost_its_power_is_nobody_s_word(board: Board) -> None:
    timekeeping().signed(board.state, NOW)
    board.now = 0
    network(board, NOW + 400 * DAY)
    board.wake()
    assert board.now == NOW + 400 * DAY
    network(board, NOW + DAY)
    board.wake()
    assert board.now == NOW + DAY


def test_a_word_from_before_the_floor_sets_no_clock(board: Board) -> None:
    timekeeping().signed(board.state, NOW)
    timekeeping().signed(board.state, NOW - 2 * DAY)
    assert board.now == NOW


def test_what_waits_for_times_that_lie_ahead_begins_anew_when_the_clock_is_put_back(
    board: Board,
) -> None:
    ahead = NOW + 400 * DAY
    kept = {
        "slot": ahead, "dslot": ahead, "since": {7: ahead}, "day": ahead, "vtry": ahead,
        "lamp": [0, ahead], "arm": [ahead, ahead, 1], "next_report": ahead, "lv": [ahead],
        "mode": [2, ahead, 0], "rain": [9, ahead, ahead, 8, ahead, 9, 0],
    }  # fmt: skip
    for step, stays in ((-3600, True), (-3601, False)):
        board.now = NOW
        for key, value in kept.items():
            board.state.set(key, list(value) if isinstance(value, list) else value)
        assert timekeeping().put(board.state, NOW + step) == step
        assert board.now == NOW + step
        assert (board.state.get("slot") == ahead) == stays
    found = {key: board.state.get(key) for key in kept}
    assert found == {
        "slot": None, "dslot": -1, "since": {}, "day": None, "vtry": 0, "lamp": None, "arm": None,
        "next_report": 0, "lv": None, "mode": [2, 0, 0], "rain": [9, 0, 0, 8, 0, 9, 0],
    }  # fmt: skip
