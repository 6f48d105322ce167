"""Commands on the node: whose they are, until when, what becomes of them, what a cut leaves."""

from collections.abc import Iterator
from typing import Any

import esp32
import pytest
from numbers_rig import PowerCut
from valve_rig import KEY, SHUT, START_MS, Meter, World, firmware

from fleet.wire import cbor, command
from tests.bench.valve_world import sign

NOW = START_MS // 1000
CLOSE, ARM, READ, REBOOT = command.VALVE_CLOSE, command.VALVE_ARM, command.READ_NOW, command.REBOOT


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def meter(world: World) -> Iterator[Meter]:
    with firmware(world) as modules:
        yield Meter(world, modules)


def item(number: int, code: int, *arguments: int, expiry: int = NOW + 300) -> tuple[int, bytes]:
    return number, sign(number, code, arguments, number, expiry).payload


def standing(meter: Meter) -> list[int]:
    found: list[int] = meter.state.get("items")
    return found


def test_a_command_is_done_told_and_urgent(meter: Meter) -> None:
    meter.deliver(item(7, CLOSE))
    assert meter.world.position == SHUT
    assert meter.journal.results() == [(7, command.DONE, 1)]
    assert meter.journal.records()[-1] == [meter.world.now, 0, 900, 7, 901, 0, 902, 1]
    assert standing(meter) == [0, 7, 0]
    assert meter.state.get("urgent") == 2, "no bound on contacts holds it back"
    assert "cmd" not in esp32.flash.kept


def test_twice_is_once(meter: Meter) -> None:
    meter.deliver(item(7, CLOSE), item(7, CLOSE))
    meter.deliver(item(7, CLOSE), item(6, CLOSE))
    assert len(meter.journal.results()) == 1


@pytest.mark.parametrize(
    ("why", "made", "result"),
    [
        ("its end has come", item(7, CLOSE, expiry=NOW - 1), (command.EXPIRED, 1)),
        ("its end is too far", item(7, CLOSE, expiry=NOW + 661), (command.NO_CLOCK, 661)),
        ("an argument too many", item(7, CLOSE, 1), (command.BAD_ARGUMENTS, 0)),
        ("a code that is none", item(7, 200), (command.NO_SUCH, 0)),
        ("another role's", item(7, command.DIM, 100, 60), (command.NOT_MINE, 0)),
        ("a level that is none", item(7, command.LOG_LEVEL, 9), (command.BAD_ARGUMENTS, 0)),
        ("a time before its floor", item(7, command.SET_TIME, 5), (command.BAD_ARGUMENTS, 0)),
        ("a time of no fleet", item(7, command.SET_TIME, NOW + 86701), (command.BAD_ARGUMENTS, 0)),
        ("a time long ago", item(7, command.SET_TIME, NOW - 86101), (command.BAD_ARGUMENTS, 0)),
        ("an end before its beginning", item(7, command.RESEND, 9, 5), (command.BAD_ARGUMENTS, 0)),
    ],
)
def test_what_is_refused_is_told_with_its_reason(
    meter: Meter, why: str, made: tuple[int, bytes], result: tuple[int, int]
) -> None:
    meter.deliver(made)
    assert meter.journal.results() == [(7, *result)], why
    assert standing(meter) == [0, 7, 7]
    assert meter.world.position == 0


def test_at_its_last_second_it_is_still_good(meter: Meter) -> None:
    meter.deliver(item(7, CLOSE, expiry=NOW), item(8, READ, expiry=NOW + 660))
    assert [result for _, result, _ in meter.journal.results()] == [0, 0]


def test_without_a_sure_clock_none_is_done(meter: Meter) -> None:
    meter.state.set("clock_sure", 0)
    meter.deliver(item(7, CLOSE))
    assert meter.journal.results() == [(7, command.NO_CLOCK, 0)]
    assert meter.world.position == 0


FORGED = {
    "another number": (8, item(7, CLOSE)[1]),
    "another node": (7, sign(7, CLOSE, (), 7, NOW + 300, node="1gntj14d2q").payload),
    "another key": (7, sign(7, CLOSE, (), 7, NOW + 300, key=bytes(32)).payload),
    "a bit": (7, item(7, CLOSE)[1][:-1] + b"\0"),
    "no command": (7, b"\xff"),
    "nothing": (7, b""),
}


@pytest.mark.parametrize("why", FORGED)
def test_what_is_forged_is_told_and_moves_no_counter(meter: Meter, why: str) -> None:
    number, payload = FORGED[why]
    meter.deliver((number, payload))
    assert meter.journal.results() == [(number, command.FORGED, 0)]
    assert standing(meter) == [0, 0, 0], "else whoever forges could use up all numbers"
    assert not meter.state.get("urgent"), "else whoever forges could empty the battery"
    meter.deliver(item(7, CLOSE))
    assert meter.journal.results()[-1] == (7, command.DONE, 1)


def test_without_the_key_nobody_commands(meter: Meter) -> None:
    del esp32.flash.kept["hmac"]
    meter.deliver(item(7, CLOSE))
    esp32.flash.kept["hmac"] = KEY[:31]
    meter.deliver(item(7, CLOSE))
    assert {result for _, result, _ in meter.journal.results()} == {command.FORGED}


def test_read_now_records_register_and_valve(meter: Meter) -> None:
    meter.state.set("pulses", 843)
    meter.deliver(item(7, READ))
    reading, result = meter.journal.records()
    assert reading[2:] == [1, 8430, 11, 0]
    assert result[4:6] == [901, command.DONE]


def test_reboot_waits_until_the_wake_is_over(meter: Meter) -> None:
    meter.deliver(item(7, REBOOT), item(8, READ))
    assert meter.cycle.reboot
    assert [number for number, _, _ in meter.journal.results()] == [7, 8]


def test_the_log_is_pulled_and_its_level_set(meter: Meter) -> None:
    meter.deliver(item(7, command.LOG_LEVEL, 3))
    assert meter.state.get("lvl") == 3
    log = meter.modules.log
    log.note(meter.state, log.DEBUG, 5, -12)
    meter.deliver(item(8, command.LOG_PULL))
    assert [920, 5, 921, -12] in [record[2:] for record in meter.journal.records()]
    assert meter.journal.results()[-1] == (8, command.DONE, 1)


def test_set_time_sets_the_clock(meter: Meter) -> None:
    set_to: list[int] = []
    meter.modules.clock.set = set_to.append
    meter.deliver(item(7, command.SET_TIME, NOW + 30))
    assert set_to == [NOW + 30]
    assert meter.journal.results()[0][:2] == (7, command.DONE)
    meter.state.set("vtry", NOW + 3600)
    meter.deliver(item(8, command.SET_TIME, NOW - 7200))
    assert set_to == [NOW + 30, NOW - 7200]
    assert meter.state.get("vtry") == 0, "what lay ahead begins anew"


def test_resend_goes_to_the_journal(meter: Meter) -> None:
    asked: list[tuple[int, int]] = []

    def resend(since: int, until: int) -> int:
        asked.append((since, until))
        return 48

    meter.journal.resend = resend  # type: ignore[attr-defined]
    meter.deliver(item(7, command.RESEND, NOW - 86400, NOW))
    assert asked == [(NOW - 86400, NOW)]
    assert meter.journal.results() == [(7, command.DONE, 48)]


def test_a_full_journal_fails_the_reading_and_does_not_break_the_node(meter: Meter) -> None:
    meter.journal.full = True
    meter.deliver(item(7, READ), item(8, CLOSE))
    assert meter.world.position == SHUT
    assert standing(meter) == [0, 8, 7]


@pytest.mark.parametrize("at_set", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_power_cuts_at_each_step_leave_it_done_once_or_not_begun_and_told(
    world: World, at_set: bool, kept: bool
) -> None:
    with firmware(world) as modules:
        cuts = told_as_cut = 0
        while True:
            meter = Meter(world, modules)
            world.position = 0
            for key in ("down", "cmd", "refn", "vlv"):
                esp32.flash.kept.pop(key, None)
            esp32.flash.at_set = at_set
            runs = world.runs[39]
            world.fuse.left = cuts
            try:
                meter.deliver(item(7, CLOSE, expiry=world.now + 300))
            except PowerCut:
                pass
            else:
                world.fuse.left = None
                break
            done = world.runs[39] - runs
            meter.boot(rtc_kept=kept)
            meter.start()
            begun = esp32.flash.kept.get("down", 0) == 7
            results = meter.journal.results()
            assert len(results) == (1 if begun else 0), "begun and not told, or told twice"
            assert begun or not done
            if results:
                told_as_cut += results[0][1:] == (command.FAILED, 1)
            runs = world.runs[39]
            meter.deliver(item(7, CLOSE, expiry=world.now + 300))
            assert len(meter.journal.results()) == 1
            assert begun == (world.runs[39] == runs)
            assert "cmd" not in esp32.flash.kept
            cuts += 1
        assert cuts > 40
        assert told_as_cut > 20


def test_a_result_in_front_of_the_cut_is_not_told_again(meter: Meter) -> None:
    meter.deliver(item(7, CLOSE))
    esp32.flash.kept["cmd"] = 7
    meter.boot()
    meter.start()
    assert meter.journal.results() == [(7, command.DONE, 1)]


def test_a_forgery_under_its_number_does_not_hide_a_result(meter: Meter) -> None:
    meter.deliver(FORGED["nothing"], item(7, READ))
    meter.journal.append(cbor.encode([NOW, 0, 900, 7, 901, command.FORGED, 902, 0]))
    esp32.flash.kept["cmd"] = 7
    meter.boot()
    meter.start()
    assert meter.journal.results()[-1] == (7, command.FAILED, 1)


def test_a_reset_by_the_watchdog_within_a_command_is_told_too(meter: Meter) -> None:
    def bitten(code: int, arguments: list[int], now: int) -> Any:
        raise PowerCut

    meter.command = bitten  # type: ignore[method-assign]
    with pytest.raises(PowerCut):
        meter.deliver(item(7, READ))
    del meter.command
    meter.boot(rtc_kept=True)
    meter.start()
    assert meter.journal.results() == [(7, command.FAILED, 1)]
