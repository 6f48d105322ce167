"""PSM and eDRX: the timers' codes, what is granted, and that the timers really run."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modem_bench import Bench, Echo
from twin_play import ask, attached, play

from hil.virtual.modem import State, periods
from hil.virtual.modem.air import AirOptions
from hil.virtual.modem.saving import Grants
from hil.virtual.modem.scenario import Scenario

ENTER = b'\r\n+QNBIOTEVENT: "ENTER PSM"\r\n'
EXIT = b'\r\n+QNBIOTEVENT: "EXIT PSM"\r\n'

# 3GPP TS 24.008, 10.5.7.4a and 10.5.7.3.
T3412 = {
    "01000111": 252_000,
    "01000011": 108_000,
    "11000001": 1_152_000,
    "00101010": 36_000,
    "01000001": 36_000,
    "10000001": 30,
    "10111111": 1_860,
    "01100001": 2,
    "00000000": 0,
    "11111111": None,
}
T3324 = {
    "00100100": 240,
    "00100011": 180,
    "00000001": 2,
    "01000011": 1_080,
    "01011111": 11_160,
    "11100000": None,
}


@pytest.mark.parametrize("bits", sorted(T3412))
def test_periodic_timers(bits: str) -> None:
    assert periods.t3412_s(bits) == T3412[bits]


@pytest.mark.parametrize("bits", sorted(T3324))
def test_active_timers(bits: str) -> None:
    assert periods.t3324_s(bits) == T3324[bits]


@given(seconds=st.integers(0, 35_712_000))
def test_a_network_encodes_what_fits_exactly_and_else_no_less(seconds: int) -> None:
    for encode, decode, most in (
        (periods.t3412_bits, periods.t3412_s, 35_712_000),
        (periods.t3324_bits, periods.t3324_s, 11_160),
    ):
        wanted = min(seconds, most)
        got = decode(encode(wanted))
        assert got is not None
        assert wanted <= got
        assert decode(encode(got)) == got


@given(seconds=st.integers(0, 35_712_000))
def test_a_module_takes_the_greatest_value_that_is_not_greater(seconds: int) -> None:
    got = periods.t3412_s(periods.t3412_floor(seconds))
    assert got is not None
    assert got <= seconds
    everything = [
        value
        for n in range(0xE0)
        if (value := periods.t3412_s(f"{n:08b}")) is not None and value <= seconds
    ]
    assert got == max(everything)


async def awake(bench: Bench) -> None:
    """Attached, and kept awake by the host."""
    await attached(bench)
    await ask(bench, "AT+QSCLK=0")
    await ask(bench, "AT+QNBIOTEVENT=1,1")


def test_psm_is_granted_by_an_update_in_the_networks_own_encoding() -> None:
    async def case(bench: Bench) -> None:
        await awake(bench)
        await ask(bench, "AT+CEREG=5")
        # 60 times one minute and 10 times two seconds; the network says one hour and 16 s.
        await ask(bench, 'AT+CPSMS=1,,,"10111100","00001010"')
        assert bench.twin.saving.psm_granted is None  # it takes an update of the tracking area
        await asyncio.sleep(10)
        assert bench.twin.saving.psm_granted == ("00100001", "00001000")
        assert b'"00001000","00100001"\r\n' in await ask(bench, "AT+CEREG?")
        assert b"+QPSMS: 16,3600\r\n" in await ask(bench, "AT+QPSMS?")
        await ask(bench, "AT+CPSMS=0")
        await asyncio.sleep(10)
        assert bench.twin.saving.psm_granted is None
        assert b"+QPSMS: -1,-1\r\n" in await ask(bench, "AT+QPSMS?")

    play("bc660k", case, scenario=Scenario(grants=Grants(tau_s=3600, active_s=16)))


def test_a_network_may_refuse_psm_and_edrx() -> None:
    async def case(bench: Bench) -> None:
        await awake(bench)
        await ask(bench, 'AT+CPSMS=1,,,"00100001","00000101"')
        await ask(bench, 'AT+CEDRXS=1,5,"0101"')
        await asyncio.sleep(120)
        assert bench.twin.saving.psm_granted is bench.twin.saving.edrx_granted is None
        assert ENTER not in bench.heard
        assert b"+CEDRXRDP: 0\r\n" in await ask(bench, "AT+CEDRXRDP")

    play("bc660k", case, scenario=Scenario(grants=Grants(psm=False, edrx=False)))


def test_psm_begins_t3324_after_the_connection_and_ends_with_t3412() -> None:
    async def case(bench: Bench) -> None:
        await awake(bench)
        await ask(bench, "AT+QPSMS=20,3600")
        await asyncio.sleep(10)
        idle_us = bench.twin.air.idle_at_us
        await bench.until(ENTER)
        assert bench.now() == pytest.approx(idle_us + 20_000_000, abs=100_000)
        assert bench.twin.saving.in_psm
        await bench.until(EXIT, 4000)
        assert bench.now() == pytest.approx(idle_us + 3_600_000_000, abs=3_000_000)
        assert bench.twin.saving.updates == 1
        await bench.until(ENTER)
        await bench.until(EXIT, 4000)
        assert bench.twin.saving.updates == 2
        assert bench.twin.network.attaches == 1

    play("bc660k", case, scenario=Scenario(air=AirOptions(inactivity_s=5)))


def test_psm_begins_only_when_idle() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await awake(bench)
            await ask(bench, "AT+QPSMS=10,3600")
            await ask(
                bench, f'AT+QIOPEN=0,0,"TCP","localhost",{echo.port},0,1', b"+QIOPEN: 0,0\r\n"
            )
            for _ in range(20):
                await ask(bench, "AT+QISEND=0,5", b"> ")
                bench.write(b"hello")
                await bench.until(b"hello")
                await asyncio.sleep(8)
                assert ENTER not in bench.heard
            await bench.until(ENTER, 30)
            await ask(bench, "AT+QISEND=0,5", b"> ")
            bench.write(b"again")
            await bench.until(EXIT)
            await bench.until(b"again")

    play("bc660k", case, scenario=Scenario(air=AirOptions(inactivity_s=5)))


def test_deep_sleep_in_psm_loses_the_sockets_and_draws_almost_nothing() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await awake(bench)
            await ask(bench, "AT+QPSMS=4,36000")
            await asyncio.sleep(5)
            await ask(
                bench, f'AT+QIOPEN=0,0,"TCP","localhost",{echo.port},0,1', b"+QIOPEN: 0,0\r\n"
            )
            await ask(bench, "AT+QSCLK=1")
            await asyncio.sleep(30)
            assert bench.twin.saving.in_psm
            assert bench.twin.state is State.ASLEEP
            assert bench.sockets == 0
            mark = bench.twin.ledger.mark()
            await asyncio.sleep(10_000)
            used = bench.twin.ledger.since(mark)
            assert used.mj == pytest.approx(10_000 * 0.0008 * 3.3, rel=0.01)
            assert used.awake_s == 0
            bench.write(b"AT\r")  # swallowed
            await asyncio.sleep(3)
            assert bench.twin.network.registered
            await ask(bench, "AT")
            await ask(bench, "AT+QISEND=0,5", b"ERROR\r\n")

    play("bc660k", case)


def test_edrx_is_granted_and_its_window_is_when_one_is_paged() -> None:
    async def case(bench: Bench) -> None:
        await awake(bench)
        await ask(bench, 'AT+CEDRXS=1,5,"0101"')
        await asyncio.sleep(10)
        answer = await ask(bench, "AT+CEDRXRDP")
        assert b'+CEDRXRDP: 5,"0101","0011","0001"\r\n' in answer
        saving = bench.twin.saving
        waits = []
        for _ in range(60):
            await asyncio.sleep(7.3)
            due_us = saving.reachable_us()
            assert due_us is not None
            waits.append((due_us - bench.now()) / 1e6)
        assert 30 < max(waits) <= 40.96
        assert min(waits) <= 2.56
        await ask(bench, "AT+CEDRXS=0")
        await asyncio.sleep(10)
        due_us = saving.reachable_us()
        assert due_us is not None
        assert (due_us - bench.now()) / 1e6 <= 2.56

    play("bc660k", case, scenario=Scenario(grants=Grants(cycle_bits="0011", window_bits="0001")))


def test_what_was_asked_for_outlives_power_and_is_granted_with_the_next_attach() -> None:
    async def case(bench: Bench) -> None:
        await awake(bench)
        await ask(bench, 'AT+CPSMS=1,,,"00100001","00000101"')
        bench.twin.power_off()
        assert bench.twin.saving.psm_granted is None
        bench.twin.power_on()
        await attached(bench)
        assert bench.twin.saving.psm_granted == ("00100001", "00000101")

    play("bc660k", case)


@pytest.mark.parametrize(
    "line",
    [
        'AT+CPSMS=1,,,"0010000","00000101"',
        'AT+CPSMS=1,,,"00100001","0000010x"',
        'AT+CEDRXS=1,5,"01012"',
        "AT+QPSMS=11161,3600",
        "AT+QPSMS=1,35712001",
        "AT+QNBIOTEVENT=1,2",
    ],
)
def test_timers_that_are_none_are_errors(line: str) -> None:
    async def case(bench: Bench) -> None:
        await awake(bench)
        await ask(bench, line, b"ERROR\r\n")
        assert bench.twin.saving.psm_wish is None

    play("bc660k", case)


def test_release_assistance_only_while_connected() -> None:
    async def case(bench: Bench) -> None:
        await awake(bench)
        await asyncio.sleep(60)
        await ask(bench, "AT+QNBIOTRAI=1", b"ERROR\r\n")
        bench.twin.air.up(100, lambda: None)
        await asyncio.sleep(2)
        assert b"+CSCON: 0,1\r\n" in await ask(bench, "AT+CSCON?")
        await ask(bench, "AT+QNBIOTRAI=1")
        await asyncio.sleep(2)
        assert b"+CSCON: 0,0\r\n" in await ask(bench, "AT+CSCON?")

    play("bc660k", case, scenario=Scenario(air=AirOptions(inactivity_s=20)))
