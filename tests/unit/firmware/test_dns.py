"""Names to addresses: each family's answer, the cache and its ages, in jumping time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modem_bench import Bench, jumping
from node.errors import ConfigError, SocketError
from node.link import dns
from node.link.modems import open_modem
from scripted_modem import ScriptedModem

from hil.virtual.modem import ModemTwin

ASK = {"bc660k": 'AT+QIDNSGIP=0,"fleet.example"', "ec200": 'AT+QIDNSGIP=1,"fleet.example"'}
Case = Callable[[Any], Awaitable[None]]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the seconds of the node's clock."""
    now = [1_800_000_000]

    class Time:
        @staticmethod
        def time() -> int:
            return now[0]

    monkeypatch.setattr(dns, "time", Time)
    return lambda seconds: now.__setitem__(0, seconds)


def run(modem: ScriptedModem, case: Case, family: str = "bc660k") -> None:
    async def main() -> None:
        driver: Any = open_modem(family, modem)
        try:
            await case(driver)
        finally:
            driver.at.stop()

    jumping(main)


@pytest.mark.parametrize(
    ("family", "lines"),
    [
        ("bc660k", "+QIDNSGIP: 192.0.2.7"),
        ("bc660k", "+QIDNSGIP: 0,1,300\n+QIDNSGIP: 192.0.2.7"),
        ("bc660k", '+QIDNSGIP: "192.0.2.7"'),
        ("ec200", '+QIURC: "dnsgip",0,1,600\n+QIURC: "dnsgip","192.0.2.7"'),
        (
            "ec200",
            '+QIURC: "dnsgip",0,2,600\n+QIURC: "dnsgip","192.0.2.7"\n+QIURC: "dnsgip","192.0.2.8"',
        ),
    ],
)
def test_the_address_comes_behind_ok_on_one_line_or_more(family: str, lines: str) -> None:
    modem = ScriptedModem()
    modem.after[ASK[family]] = (3.0, lines)

    async def case(driver: Any) -> None:
        assert await driver.resolve("fleet.example", 60_000) == "192.0.2.7"
        assert await driver.resolve("fleet.example", 60_000) == "192.0.2.7"
        assert modem.count("AT+QIDNSGIP") == 1

    run(modem, case, family)


def test_the_address_may_come_before_ok() -> None:
    modem = ScriptedModem({ASK["bc660k"]: "+QIDNSGIP: 192.0.2.7\nOK"})

    async def case(driver: Any) -> None:
        assert await driver.resolve("fleet.example", 60_000) == "192.0.2.7"

    run(modem, case)


@pytest.mark.parametrize(
    ("family", "reply", "lines", "cause"),
    [
        ("bc660k", "OK", "+QIDNSGIP: 565", 565),
        ("ec200", "OK", '+QIURC: "dnsgip",565', 565),
        ("ec200", "OK", '+QIURC: "dnsgip",0,0,0', 0),
        ("bc660k", "+CME ERROR: 561", "", 561),
        ("ec200", "ERROR", "", 0),
    ],
)
def test_the_modems_error_is_kept(family: str, reply: str, lines: str, cause: int) -> None:
    modem = ScriptedModem({ASK[family]: reply})
    if lines:
        modem.after[ASK[family]] = (1.0, lines)

    async def case(driver: Any) -> None:
        with pytest.raises(SocketError) as caught:
            await driver.resolve("fleet.example", 60_000)
        assert caught.value.cause == cause
        assert not driver.names

    run(modem, case, family)


def test_no_answer_ends_at_the_deadline_and_a_late_one_is_nobodys() -> None:
    modem = ScriptedModem()
    modem.after[ASK["bc660k"]] = (30.0, "+QIDNSGIP: 192.0.2.7")

    async def case(driver: Any) -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(SocketError):
            await driver.resolve("fleet.example", 20_000)
        assert loop.time() == pytest.approx(20, abs=0.1)
        modem.after[ASK["bc660k"]] = (15.0, "+QIDNSGIP: 192.0.2.9")
        assert await driver.resolve("fleet.example", 60_000) in ("192.0.2.7", "192.0.2.9")

    run(modem, case)


def test_a_literal_address_costs_nothing() -> None:
    modem = ScriptedModem()

    async def case(driver: Any) -> None:
        assert await driver.resolve("192.0.2.1", 1000) == "192.0.2.1"
        assert not modem.written
        assert not driver.names

    run(modem, case)


@pytest.mark.parametrize("host", ['x"\rAT+QPOWD=0\r', "with space", "h" * 151])
def test_what_cannot_stand_in_a_command_is_refused_before_a_byte_is_sent(host: str) -> None:
    modem = ScriptedModem()

    async def case(driver: Any) -> None:
        with pytest.raises(ConfigError):
            await driver.resolve(host, 1000)
        assert not modem.written

    run(modem, case)


def test_an_entry_ages_out_and_a_clock_that_was_set_back_is_not_believed(
    clock: Callable[[int], None],
) -> None:
    modem = ScriptedModem()
    modem.after[ASK["bc660k"]] = (1.0, "+QIDNSGIP: 192.0.2.7")

    async def case(driver: Any) -> None:
        for seconds, asked in (
            (1_800_000_000, 1),
            (1_800_086_399, 1),
            (1_800_086_400, 2),
            (1_800_000_000, 3),  # set back: as good as unknown
            (1_800_000_001, 3),
        ):
            clock(seconds)
            assert await driver.resolve("Fleet.Example", 60_000) == "192.0.2.7"
            assert modem.count("AT+QIDNSGIP") == asked

    run(modem, case)


def test_the_cache_is_bounded_and_keeps_the_newest() -> None:
    modem = ScriptedModem()
    for n in range(5):
        modem.after[f'AT+QIDNSGIP=0,"h{n}"'] = (0.1, f"+QIDNSGIP: 192.0.2.{n}")

    async def case(driver: Any) -> None:
        for n in range(5):
            await driver.resolve(f"h{n}", 60_000)
        assert [entry[0] for entry in driver.names] == ["h2", "h3", "h4"]
        dns.drop(driver, "H3")
        assert [entry[0] for entry in driver.names] == ["h2", "h4"]

    run(modem, case)


def test_what_a_session_kept_is_used_by_the_next_modem() -> None:
    kept: list[list[object]] = []

    async def first(driver: Any) -> None:
        driver.names = kept
        await driver.resolve("fleet.example", 60_000)

    async def second(driver: Any) -> None:
        driver.names = kept
        assert await driver.resolve("fleet.example", 60_000) == "192.0.2.7"

    modem, again = ScriptedModem(), ScriptedModem()
    modem.after[ASK["bc660k"]] = (1.0, "+QIDNSGIP: 192.0.2.7")
    run(modem, first)
    run(again, second)
    assert not again.log


@pytest.mark.parametrize("family", ["bc660k", "ec200"])
def test_the_twins_names(family: str) -> None:
    async def main() -> None:
        bench = Bench(ModemTwin(family, seed=2, attach_delay_s=(1, 2)))
        bench.twin.power_on()
        driver = open_modem(family, bench)
        await driver.wake()
        await driver.attach("", 180_000)
        assert await driver.resolve("localhost", 60_000) == "127.0.0.1"
        with pytest.raises(SocketError) as caught:
            await driver.resolve("nobody.example", 60_000)
        assert caught.value.cause == 565
        driver.at.stop()
        bench.twin.power_off()

    jumping(main)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("192.0.2.1", True),
        ("0.0.0.1", True),
        ("255.255.255.255", True),
        ("256.1.1.1", False),
        ("1.2.3", False),
        ("1.2.3.4.5", False),
        ("1.2.3.04", False),
        ("+1.2.3.4", False),
        ("1.2.3.-4", False),
        ("", False),
        ("fleet.example.a.b", False),
    ],
)
def test_what_is_an_address(text: str, is_one: bool) -> None:
    assert dns.is_address(text) is is_one


@given(st.text(max_size=20))
def test_any_text_is_taken(text: str) -> None:
    dns.is_address(text)
