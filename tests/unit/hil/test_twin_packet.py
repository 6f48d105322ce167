"""What the twins have in common by 3GPP TS 27.007: registration, contexts, SIM, quality, PSM."""

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modem_bench import Bench
from twin_play import ERROR, OK, ask, attached, booted, play, registered

from hil.virtual.modem.families import FAMILIES
from hil.virtual.modem.grammar import Command, GrammarError, Op, Style, parse
from hil.virtual.modem.scenario import Scenario
from hil.virtual.modem.sim import SimOptions

NAMES = sorted(FAMILIES)
SAVING = ["bc660k", "bc95", "sim7080"]


@pytest.mark.parametrize("mode", range(6))
@pytest.mark.parametrize("family", NAMES)
def test_cereg_by_mode_while_registered(family: str, mode: int) -> None:
    async def case(bench: Bench) -> None:
        table = bench.twin.family.table
        await attached(bench)
        if mode not in table.registration_modes:
            await ask(bench, f"AT+CEREG={mode}", ERROR)
            return
        await ask(bench, f"AT+CEREG={mode}")
        place = [bench.twin.family.area, bench.twin.family.cell]
        values = ["1"] + (
            [*map(table.style.text, place), str(table.technology)] if mode > 1 else []
        )
        line = f"+CEREG:{table.style.gap}{mode},{','.join(values)}"
        assert f"\r\n{line}\r\n".encode() in await ask(bench, "AT+CEREG?")

    play(family, case)


@pytest.mark.parametrize("family", NAMES)
def test_the_urc_has_one_field_less_than_the_answer_and_comes_for_news_only(family: str) -> None:
    async def case(bench: Bench) -> None:
        style = bench.twin.family.table.style
        await booted(bench)
        await ask(bench, "AT+CEREG=2")
        await bench.until(f"\r\n+CEREG:{style.gap}1,".encode())
        assert len((await bench.until(b"\r\n")).split(b",")) == 3  # area, cell, technology
        bench.heard.clear()
        bench.twin.network.change_cell()
        before = bench.twin.family.cell
        await asyncio.sleep(10)
        after = bench.twin.family.cell
        assert after != before
        assert bench.heard.count(b"+CEREG:") == 1
        assert after.encode() in bench.heard
        await ask(bench, "AT+CEREG=1")
        bench.heard.clear()
        bench.twin.network.change_cell()
        await asyncio.sleep(10)
        assert b"+CEREG" not in bench.heard  # the state is the same

    play(family, case, attach_delay_s=(30, 30))


@pytest.mark.parametrize("family", SAVING)
def test_granted_timers_are_read_back_and_differ_from_the_wish(family: str) -> None:
    async def case(bench: Bench) -> None:
        quote = bench.twin.family.table.style.quote
        await attached(bench)
        if family == "bc660k":
            await ask(bench, "AT+QSCLK=0")
        await ask(bench, "AT+CEREG=4")
        # T3412: 1 h in units of 10 min, which the network writes in units of an hour.
        await ask(bench, 'AT+CPSMS=1,,,"00000110","00100001"')
        await asyncio.sleep(20)
        answer = (await ask(bench, "AT+CEREG?")).decode()
        granted = bench.twin.saving.psm_granted
        assert granted is not None
        assert granted != ("00000110", "00100001")
        assert f",,,{quote}{granted[1]}{quote},{quote}{granted[0]}{quote}\r\n" in answer
        await ask(bench, "AT+CPSMS=0")
        await asyncio.sleep(20)
        assert bench.twin.saving.psm_granted is None
        assert re.search(r",[79]\r\n\r\nOK", (await ask(bench, "AT+CEREG?")).decode())

    play(family, case)


@pytest.mark.parametrize("family", SAVING)
@pytest.mark.parametrize(
    "line",
    [
        'AT+CPSMS=1,,,"0000011","00100001"',
        'AT+CPSMS=1,,,"00000110","0010000x"',
        "AT+CPSMS=3",
        'AT+CEDRXS=1,5,"00100"',
        'AT+CEDRXS=1,5,"002x"',
        'AT+CEDRXS=4,5,"0010"',
    ],
)
def test_timers_that_are_none(family: str, line: str) -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        await ask(bench, line, ERROR)

    play(family, case)


@pytest.mark.parametrize("family", NAMES)
def test_quality_follows_the_radio_and_is_unknown_without_a_cell(family: str) -> None:
    async def case(bench: Bench) -> None:
        gap = bench.twin.family.table.style.gap
        await booted(bench)
        unknown = f"+CESQ:{gap}99,99,255,255,255,255\r\n".encode()
        assert unknown in await ask(bench, "AT+CESQ")
        assert f"+CSQ:{gap}99,99\r\n".encode() in await ask(bench, "AT+CSQ")
        await registered(bench)
        signal = bench.twin.signal()
        assert signal is not None
        n = f"{signal.cesq_rsrq},{signal.cesq_rsrp}"
        assert f"+CESQ:{gap}99,99,255,255,{n}\r\n".encode() in await ask(bench, "AT+CESQ")
        assert f"+CSQ:{gap}{signal.csq},99\r\n".encode() in await ask(bench, "AT+CSQ")

    play(family, case, attach_delay_s=(30, 30))


@pytest.mark.parametrize("family", NAMES)
def test_detach_and_attach_by_cgatt(family: str) -> None:
    async def case(bench: Bench) -> None:
        gap = bench.twin.family.table.style.gap
        await attached(bench)
        assert f"+CGATT:{gap}1\r\n".encode() in await ask(bench, "AT+CGATT?")
        await ask(bench, "AT+CGATT=0")
        assert f"+CGATT:{gap}0\r\n".encode() in await ask(bench, "AT+CGATT?")
        await ask(bench, "AT+CGATT=1")
        await registered(bench)
        await ask(bench, "AT+CFUN=0")
        assert f"+CFUN:{gap}0\r\n".encode() in await ask(bench, "AT+CFUN?")
        await ask(bench, "AT+CGATT=1", ERROR)  # without a radio
        await ask(bench, "AT+CFUN=1,1")
        await bench.until(bench.twin.family.greeting()[-1])
        assert bench.twin.boots == 2

    play(family, case)


@pytest.mark.parametrize("family", ["a7670", "bc95", "ec200", "sim7080"])
def test_contexts_are_kept_in_flash(family: str) -> None:
    async def case(bench: Bench) -> None:
        context = bench.twin.family.table.context
        await booted(bench)
        await ask(bench, f'AT+CGDCONT={context},"IP","iot.example"')
        await ask(bench, 'AT+CGDCONT=5,"IPV6","other.example"')
        bench.twin.power_off()
        bench.twin.power_on()
        await attached(bench)
        lines = await ask(bench, "AT+CGDCONT?")
        address = bench.twin.family.address
        assert f'{context},"IP","iot.example","{address}"'.encode() in lines
        assert b'5,"IPV6","other.example",""' in lines
        await ask(bench, "AT+CGDCONT=5")
        assert b"other.example" not in await ask(bench, "AT+CGDCONT?")
        await ask(bench, 'AT+CGDCONT=1,"ATM","x"', ERROR)

    play(family, case)


@pytest.mark.parametrize("family", NAMES)
def test_a_card_with_a_pin(family: str) -> None:
    scenario = Scenario(sim=SimOptions(pin="4321"))

    async def case(bench: Bench) -> None:
        gap = bench.twin.family.table.style.gap.encode()
        await booted(bench)
        await ask(bench, "AT+CMEE=1")
        assert b"+CPIN:%sSIM PIN\r\n" % gap in await ask(bench, "AT+CPIN?")
        await ask(bench, "AT+CIMI", b"\r\n+CME ERROR: 11\r\n")
        await ask(bench, 'AT+CPIN="1111"', b"\r\n+CME ERROR: 16\r\n")
        await ask(bench, 'AT+CPIN="4321"')
        assert b"+CPIN:%sREADY\r\n" % gap in await ask(bench, "AT+CPIN?")
        await registered(bench)

    play(family, case, scenario=scenario)


@pytest.mark.parametrize("family", ["a7670", "bc660k", "ec200", "sim7080"])
def test_a_start_without_a_card_says_so(family: str) -> None:
    async def case(bench: Bench) -> None:
        noise = await bench.until(bench.twin.family.greeting()[-1])
        assert b"\r\n+CPIN: NOT INSERTED\r\n" in noise
        assert b"READY\r\n" not in noise.replace(b"ATREADY", b"")

    play(family, case, scenario=Scenario(sim=SimOptions(present=False)))


@pytest.mark.parametrize("family", NAMES)
def test_three_wrong_pins_ask_for_the_puk(family: str) -> None:
    scenario = Scenario(sim=SimOptions(pin="4321", puk="87654321"))

    async def case(bench: Bench) -> None:
        await booted(bench)
        await ask(bench, "AT+CMEE=1")
        for _ in range(2):
            await ask(bench, 'AT+CPIN="1111"', b"\r\n+CME ERROR: 16\r\n")
        await ask(bench, 'AT+CPIN="1111"', b"\r\n+CME ERROR: 12\r\n")
        assert b"SIM PUK\r\n" in await ask(bench, "AT+CPIN?")
        await ask(bench, 'AT+CPIN="87654321","1234"')
        assert b"READY\r\n" in await ask(bench, "AT+CPIN?")

    play(family, case, scenario=scenario)


def test_styles() -> None:
    assert Style().line("+X", 1, Style().text("a")) == '+X: 1,"a"'
    assert Style("", "", "").line("+X", 1, Style("", "", "").text("a")) == "+X:1,a"
    assert Style(address_quote="").address("10.0.0.1") == "10.0.0.1"


def test_quotes_are_remembered() -> None:
    command = parse('AT+X="a",b')
    assert command == Command("+X", Op.SET, ("a", "b"))
    assert (command.string(0), command.bare(1)) == ("a", "b")
    with pytest.raises(GrammarError):
        command.string(1)
    with pytest.raises(GrammarError):
        command.bare(0)


ARGUMENTS = [
    *("", "0", "1", "2", "5", "17", "6", "80", "99999", "-1", "x", "0x200", "00FF", '"', "\xff"),
    *("DGRAM", "STREAM", '"IP"', '"TCP"', '"UDP"', '"UDP SERVICE"', "127.0.0.1", '"127.0.0.1"'),
    *('"0101"', '"00000101"', "localhost", '"nobody.example"', '"dataformat"'),
]
ARGUMENT_LISTS = st.lists(st.sampled_from(ARGUMENTS), max_size=6)


@pytest.mark.parametrize("family", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_command_with_any_arguments_breaks_the_twin(family: str, data: st.DataObject) -> None:
    names = sorted({name for name, _ in FAMILIES[family].commands()})
    lines = data.draw(
        st.lists(st.tuples(st.sampled_from(names), ARGUMENT_LISTS), min_size=1, max_size=15)
    )
    broken: list[object] = []

    async def case(bench: Bench) -> None:
        bench.loop.set_exception_handler(lambda _, context: broken.append(context))
        await attached(bench)
        for name, arguments in lines:
            line = f"AT{name}" + (f"={','.join(arguments)}" if arguments else "")
            bench.write(line.encode("latin-1") + b"\r")
            await asyncio.sleep(2)
        await asyncio.sleep(100)  # longer than a prompt waits, and a dead host
        bench.twin.power_off()
        bench.twin.power_on()
        bench.heard.clear()
        await booted(bench)
        assert await ask(bench, "AT") == OK

    play(family, case)
    assert not broken


@pytest.mark.parametrize("family", NAMES)
def test_the_same_seed_says_the_same(family: str) -> None:
    said: list[bytes] = []

    async def case(bench: Bench) -> None:
        await attached(bench)
        for line in ("AT+CEREG=2", "AT+CEREG?", "AT+CGPADDR", "AT+CESQ", "AT+CIMI", "AT+CGMR"):
            bench.write(line.encode() + b"\r")
            await asyncio.sleep(1)
        said.append(bytes(bench.heard))

    for seed in (5, 5, 6):
        play(family, case, seed=seed)
    assert said[0] == said[1] != said[2]
    assert OK in said[0]
