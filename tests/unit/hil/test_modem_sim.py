"""The SIM: PIN, PUK, the lock to one terminal, the plan; and what a modem says of each."""

import asyncio
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from modem_bench import Bench
from twin_play import ask, booted, play, registered

from hil.virtual.modem import Stat
from hil.virtual.modem.scenario import Scenario
from hil.virtual.modem.sim import PIN_TRIES, PUK_TRIES, Sim, SimOptions, make

PIN, PUK = "1234", "87654321"
ERROR = b"\r\n+CME ERROR: "


def card(**options: object) -> Sim:
    return make(SimOptions(**options), random.Random(1))  # type: ignore[arg-type]


class Card(RuleBasedStateMachine):
    """Against a model: tries left, and whether the PIN was given since power on."""

    def __init__(self) -> None:
        super().__init__()
        self.sim = card(pin=PIN, puk=PUK)
        self.pin = PIN
        self.tries, self.puk_tries, self.verified = PIN_TRIES, PUK_TRIES, False

    @rule(pin=st.sampled_from([PIN, "0000", "9999", ""]))
    def enter(self, pin: str) -> None:
        asked = self.sim.state == "SIM PIN"
        right = asked and pin == self.pin
        assert self.sim.enter(pin) == right
        if right:
            self.tries, self.verified = PIN_TRIES, True
        elif asked:
            self.tries -= 1

    @rule(puk=st.sampled_from([PUK, "00000000"]), pin=st.sampled_from(["0000", "9999"]))
    def unblock(self, puk: str, pin: str) -> None:
        asked = self.sim.state == "SIM PUK" and self.puk_tries > 0
        right = asked and puk == PUK
        assert self.sim.unblock(puk, pin) == right
        if right:
            self.pin, self.verified = pin, True
            self.tries, self.puk_tries = PIN_TRIES, PUK_TRIES
        elif asked:
            self.puk_tries -= 1

    @rule()
    def power_cycle(self) -> None:
        self.sim.power_cycle()
        self.verified = False

    @invariant()
    def state(self) -> None:
        if not self.tries:
            assert self.sim.state == "SIM PUK"
        else:
            assert self.sim.state == ("READY" if self.verified else "SIM PIN")
        assert self.sim.ready == (self.sim.state == "READY")


TestCard = Card.TestCase
TestCard.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_a_card_is_bound_for_good_once_it_was_in_another_terminal() -> None:
    sim = card(bound_imei="1")
    assert sim.refusal("1") is None
    assert sim.refusal("2") == 6
    assert sim.refusal("1") == 6  # locked: only the operator can undo it
    sim.power_cycle()
    assert sim.refusal("1") == 6


def test_a_plan_is_spent_and_stays_spent() -> None:
    sim = card(plan_bytes=100)
    assert not sim.exhausted
    sim.spend(99)
    assert not sim.exhausted
    sim.spend(50)
    assert sim.exhausted
    assert sim.left == 0
    sim.power_cycle()
    assert sim.exhausted
    unlimited = card()
    unlimited.spend(1 << 40)
    assert not unlimited.exhausted


@pytest.mark.parametrize("family", ["bc660k", "ec200"])
def test_without_a_card_nothing_is_searched(family: str) -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        await ask(bench, "AT+CMEE=1")
        assert ERROR + b"10\r\n" in await ask(bench, "AT+CPIN?", ERROR + b"10\r\n")
        await ask(bench, "AT+CIMI", ERROR + b"10\r\n")
        await ask(bench, "AT+QCCID", ERROR + b"10\r\n")
        await asyncio.sleep(300)
        assert bench.twin.network.stat is Stat.IDLE

    play(family, case, scenario=Scenario(sim=SimOptions(present=False)), attach_delay_s=(400, 400))


def test_the_pin_opens_the_way_and_is_asked_again_after_power() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        await ask(bench, "AT+CMEE=1")
        assert b"+CPIN: SIM PIN\r\n" in await ask(bench, "AT+CPIN?")
        await asyncio.sleep(60)
        assert not bench.twin.network.registered
        await ask(bench, 'AT+CPIN="0000"', ERROR + b"16\r\n")
        await ask(bench, 'AT+CPIN="1234"')
        assert b"+CPIN: READY\r\n" in await ask(bench, "AT+CPIN?")
        await registered(bench)
        bench.twin.power_off()
        bench.twin.power_on()
        await booted(bench)
        assert b"+CPIN: SIM PIN\r\n" in await ask(bench, "AT+CPIN?")

    play("ec200", case, scenario=Scenario(sim=SimOptions(pin=PIN)))


def test_three_wrong_pins_ask_for_the_puk_and_it_sets_a_new_pin() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        await ask(bench, "AT+CMEE=1")
        for _ in range(2):
            await ask(bench, 'AT+CPIN="0000"', ERROR + b"16\r\n")
        await ask(bench, 'AT+CPIN="0000"', ERROR + b"12\r\n")
        assert b"+CPIN: SIM PUK\r\n" in await ask(bench, "AT+CPIN?")
        await ask(bench, 'AT+CPIN="1234"', ERROR)
        await ask(bench, f'AT+CPIN="{PUK}","4321"')
        await registered(bench)

    play("ec200", case, scenario=Scenario(sim=SimOptions(pin=PIN, puk=PUK)))


def test_a_card_bound_to_another_terminal_is_refused_with_cause_6() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        await ask(bench, "AT+CEREG=3")
        await bench.until(b"+CEREG: 3,,,,0,6\r\n", 120)
        await ask(bench, "AT+CFUN=0")
        await ask(bench, "AT+CFUN=1")
        await bench.until(b"+CEREG: 3,,,,0,6\r\n", 120)

    locked = Scenario(sim=SimOptions(bound_imei="490154203237518"))
    play("bc660k", case, scenario=locked, attach_delay_s=(30, 30))
