"""What the driver makes of the network's answer to an attach, cause by cause, in jumping time."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modem_bench import jumping
from node.errors import AtError, LinkError
from node.link.modem import Modem
from node.link.modems import open_modem
from node.link.registration import AttachRefused, AttachTimeout, parse
from scripted_modem import ScriptedModem

SEARCHING = "+CEREG: 3,2\nOK"
HOME = '+CEREG: 3,1,"5A1C","0B2F3D11",9\nOK'
READY = "+CPIN: READY\nOK"


def denied(cause: int) -> str:
    return f"+CEREG: 3,3,,,,0,{cause}\nOK"


class Radio(ScriptedModem):
    """Each CFUN=1 begins one attach: `answers` says in turn what comes of it after 10 s."""

    def __init__(self, *answers: str, urc: bool = False, fun: int = 0) -> None:
        super().__init__({"AT+CPIN?": READY})
        self.answers = list(answers)
        self.stat = SEARCHING
        self.fun = fun
        self.urc = urc
        self.replies["AT+CEREG?"] = lambda: self.stat
        self.replies["AT+CFUN?"] = lambda: f"+CFUN: {self.fun}\nOK"
        self.replies["AT+CFUN=1"] = lambda: self.switched(1)
        self.replies["AT+CFUN=0"] = lambda: self.switched(0)
        self.tries: list[float] = []

    def switched(self, fun: int) -> str:
        self.fun = fun
        self.stat = SEARCHING if fun else "+CEREG: 3,0\nOK"
        if fun:
            loop = asyncio.get_running_loop()
            self.tries.append(loop.time())
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            loop.call_later(10, self.answered, answer)
        return "OK"

    def answered(self, stat: str) -> None:
        if self.fun:
            self.stat = stat
            if self.urc:
                self.say("+CEREG: " + stat.splitlines()[0].partition(",")[2])


def attach(
    radio: Radio, deadline_s: int = 180, family: str = "bc660k"
) -> tuple[LinkError | None, float]:
    """The error, None for none, and the seconds that it took."""

    async def main() -> tuple[LinkError | None, float]:
        modem: Any = open_modem(family, radio)
        loop = asyncio.get_running_loop()
        error = None
        try:
            await modem.attach("", deadline_s * 1000)
        except LinkError as e:
            error = e
        finally:
            modem.at.stop()
        return error, loop.time()

    return jumping(main)


def test_it_switches_the_radio_on_and_waits() -> None:
    radio = Radio(HOME)
    error, took = attach(radio)
    assert error is None
    assert 10 <= took < 13
    assert radio.count("AT+CFUN=1") == 1


def test_a_urc_ends_the_wait_at_once() -> None:
    error, took = attach(Radio(HOME, urc=True))
    assert error is None
    assert took == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("urc", [True, False])
@pytest.mark.parametrize("cause", [3, 6, 7, 8, 11])
def test_emm_causes_of_sim_and_terminal_stop_at_once_and_are_reported(
    cause: int, urc: bool
) -> None:
    radio = Radio(denied(cause), urc=urc)
    error, took = attach(radio)
    assert isinstance(error, AttachRefused)
    assert error.cause == cause
    assert took < 13
    assert len(radio.tries) == 1  # no second try: a locked SIM is not knocked at


@pytest.mark.parametrize("cause", [15, 22])
def test_emm_causes_15_and_22_back_off_longer_each_time_and_go_on(cause: int) -> None:
    radio = Radio(denied(cause), denied(cause), HOME)
    error, _ = attach(radio)
    assert error is None
    pauses = [after - before for before, after in zip(radio.tries, radio.tries[1:], strict=False)]
    assert len(pauses) == 2
    # 10 s of attach, up to 2 s until it is seen, and 8 s, then 16 s and more, with jitter.
    assert 18 <= pauses[0] <= 24.5
    assert pauses[1] > pauses[0] + 4


@pytest.mark.parametrize("cause", [15, 22])
def test_a_network_that_stays_full_is_given_up_by_the_deadline(cause: int) -> None:
    radio = Radio(denied(cause))
    error, took = attach(radio)
    assert isinstance(error, AttachRefused)
    assert error.cause == cause
    assert took <= 180
    assert 3 <= len(radio.tries) <= 5


def test_the_jitter_parts_terminals_that_were_turned_away_together() -> None:
    seconds = set()
    for _ in range(12):
        radio = Radio(denied(22), HOME)
        assert attach(radio)[0] is None
        seconds.add(round(radio.tries[1], 2))
    assert len(seconds) > 6
    assert max(seconds) - min(seconds) <= 4.1


@pytest.mark.parametrize("cause", [0, 2, 5, 12, 13, 17, 25, 111])
def test_other_causes_are_the_modems_to_get_over_until_the_deadline(cause: int) -> None:
    radio = Radio(denied(cause))
    error, took = attach(radio, 60)
    assert isinstance(error, AttachRefused)
    assert error.cause == cause
    assert took == pytest.approx(60, abs=0.1)
    assert len(radio.tries) == 1

    async def heals() -> None:
        asyncio.get_running_loop().call_later(40, again.answered, HOME)
        modem: Any = open_modem("ec200", again)
        again.replies["AT+QIACT?"] = "+QIACT: 1,1,1,10.0.0.2\nOK"
        await modem.attach("", 180_000)
        modem.at.stop()

    again = Radio(denied(cause))
    jumping(heals)


def test_a_family_that_tells_causes_elsewhere_is_asked_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def told(modem: Any) -> int:
        return 8

    monkeypatch.setattr(Modem, "_refusal", told)
    error, took = attach(Radio("+CEREG: 1,3\nOK"))
    assert isinstance(error, AttachRefused)
    assert error.cause == 8
    assert took < 13


def test_no_cell_is_a_timeout_without_a_cause() -> None:
    error, took = attach(Radio(SEARCHING), 90)
    assert isinstance(error, AttachTimeout)
    assert error.cause == 0
    assert took == pytest.approx(90, abs=0.1)


def test_a_manufacturers_cause_is_no_emm_cause() -> None:
    radio = Radio(SEARCHING)
    radio.stat = "+CEREG: 3,2,,,,1,11\nOK"
    radio.fun = 1
    radio.replies["AT+CEREG?"] = "+CEREG: 3,2,,,,1,11\nOK"
    error, _ = attach(radio, 30)
    assert isinstance(error, AttachTimeout)


@pytest.mark.parametrize(
    ("reply", "cme"),
    [
        ("+CME ERROR: 10", 10),
        ("+CPIN: SIM PIN\nOK", 11),
        ("+CPIN: SIM PUK\nOK", 12),
        ("+CME ERROR: 13", 13),
    ],
)
def test_a_sim_that_is_absent_locked_or_broken_is_told_soon(reply: str, cme: int) -> None:
    radio = Radio(SEARCHING)
    radio.replies["AT+CPIN?"] = reply
    error, took = attach(radio)
    assert isinstance(error, AtError)
    assert error.cause == cme
    assert took < 15


@pytest.mark.parametrize(
    "slow", ["+CME ERROR: 10", "+CME ERROR: 14", "ERROR", "+CPIN: SIM PIN\nOK"]
)
def test_a_card_that_is_slow_behind_cfun_is_waited_for(slow: str) -> None:
    radio = Radio(HOME)
    radio.replies["AT+CPIN?"] = [slow, slow, READY]
    error, _ = attach(radio)
    assert error is None
    assert radio.count("AT+CPIN?") == 3  # and not asked again once it is well


def test_a_firmware_without_cpin_or_reject_causes_still_attaches() -> None:
    radio = Radio(HOME)
    radio.replies["AT+CPIN?"] = "ERROR"
    radio.replies["AT+CEREG=3"] = "+CME ERROR: 50"
    error, _ = attach(radio)
    assert error is None
    assert "AT+CEREG=1" in radio.log


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("+CEREG:1,19E6,94,7", (True, 1, 0)),  # Neul: no blank, no quotes
        ("+CEREG:5,0005,94,7", (True, 5, 0)),  # an area code that looks like a <stat>
        ("+CEREG:0,1,19E6,94,7,,,00100100,01000111", (False, 1, 0)),
        ('+CEREG: 5,5,"5A1C","0B2F3D11",9,0,0,"00100100","01000111"', (False, 5, 0)),
        ("+CEREG:3,3,,,,0,22", (False, 3, 22)),
    ],
)
def test_query_and_urc_in_both_grammars(line: str, expected: object) -> None:
    assert parse(line) == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([SEARCHING, HOME, denied(15), denied(12), denied(0)]), max_size=5))
def test_whatever_the_network_answers_the_deadline_holds(answers: list[str]) -> None:
    radio = Radio(*(answers or [SEARCHING]), urc=len(answers) % 2 == 0)
    error, took = attach(radio, 120)
    assert took <= 120.1
    assert error is None or isinstance(error, AttachRefused | AttachTimeout)
    assert (error is None) == (radio.stat == HOME)
