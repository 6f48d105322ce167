"""Attacks on a gas meter's valve by who hears and sends commands: replay, reordering, another
node's command, a late one, a forged one, power cuts. Whatever comes: once, in time, and opened by
a hand at the meter only. Each guard off shows what it is for.
"""

from collections.abc import Callable
from typing import Any

import pytest

from fleet.wire import command
from tests.bench.valve import Outcome, campaign, text
from tests.bench.valve_world import FOREIGN

DELIVERIES = 6_000  # `make soak-valve` has a million


def test_attack_replay_reorder_forge_delay_and_cut() -> None:
    out = campaign(DELIVERIES, 1)
    assert not +out.wrong, text(out)
    assert not out.silent, "commands of which nobody heard again"
    assert out.executed > DELIVERIES // 10
    assert out.openings > 10
    assert out.cuts > 120
    assert min(out.kinds[kind] for kind in (
        "dropped", "replay", "damaged", "under another number", "of another node", "late",
        "out of order", "twice at once", "doubled",
    )) > 50  # fmt: skip
    assert set(out.results) >= {command.DONE, command.EXPIRED, command.FORGED, command.NO_CLOCK}


def shown(
    sabotage: Callable[[Any], None], what: str, deliveries: int = DELIVERIES // 2
) -> Outcome:
    """A campaign without one guard shows what the guard is for."""
    out = campaign(deliveries, 3, sabotage)
    assert out.wrong[what] > 0, f"the guard guards nothing: {text(out)}"
    return out


def test_sabotage_without_the_counter_guard_a_command_is_executed_twice() -> None:
    def off(modules: Any) -> None:
        real = modules.downlink.standing
        modules.downlink.standing = lambda: [0, 0, 0]
        modules.cycle.Cycle._standing = lambda self: real()

    out = shown(off, "twice")
    assert out.wrong["twice"] > 30, "replays are let through"


def test_sabotage_a_number_noted_behind_the_act_doubles_it_at_a_power_cut() -> None:
    def late(modules: Any) -> None:
        downlink = modules.downlink

        def behind(nvs: Any, number: int, payload: Any, obey: Any) -> None:
            if obey(number, payload, lambda: downlink._note(nvs, "cmd", number)) != 2:
                downlink._note(nvs, "down", number)

        downlink._command = behind

    shown(late, "twice", DELIVERIES)  # a power cut must come between the two


def test_sabotage_without_the_expiry_an_old_command_is_executed() -> None:
    def off(modules: Any) -> None:
        def judge(self: Any, code: int, arguments: list[int], expiry: int) -> Any:
            return self._do(code, arguments, modules.clock.now())

        modules.commands.Commands._judge = judge

    shown(off, "after its end")


def test_sabotage_without_the_mac_anybody_commands() -> None:
    def off(modules: Any) -> None:
        modules.commands.fleetkey.said = lambda nvs, data, mac: True

    shown(off, FOREIGN)


def test_sabotage_a_mac_that_is_not_over_the_number_lets_an_old_command_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signed = command.signed

    def off(modules: Any) -> None:
        def blind(node: str, number: int, *rest: Any) -> bytes:
            return signed(node, 1, *rest)

        monkeypatch.setattr(modules.commands.command, "signed", blind)
        monkeypatch.setattr(command, "signed", blind)

    shown(off, FOREIGN, DELIVERIES)  # it takes an old command that is put before its node again


def test_sabotage_without_the_button_leave_alone_opens() -> None:
    def off(modules: Any) -> None:
        modules.gas_valve.GasValve._held = lambda self: True

    shown(off, "opened without a hand")


def test_sabotage_without_the_release_a_stuck_button_opens() -> None:
    def off(modules: Any) -> None:
        def armed(self: Any) -> bool:
            arm = self._state.get("arm")
            return bool(arm) and arm[0] <= modules.clock.now() < arm[1]

        modules.gas_valve.GasValve._armed = armed

    shown(off, "opened by a stuck button")


def test_sabotage_leave_that_only_its_time_ends_opens_again() -> None:
    def off(modules: Any) -> None:
        state = modules.rtcstate.RtcState
        real = state.set

        def keeps(self: Any, key: Any, value: object) -> None:
            if key != "arm" or value is not None:
                real(self, key, value)

        state.set = keeps

    shown(off, "opened without leave")
