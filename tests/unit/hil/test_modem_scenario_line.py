"""Faults of the line: split, merged, overrun, at the wrong rate, before the rate is learned."""

import asyncio
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modem_bench import Bench
from twin_play import OK, ask, booted, play
from virtual_port import Port

from hil.virtual.modem.faults import FIFO_BYTES, LineFaults, garbled, overrun
from hil.virtual.modem.scenario import Scenario
from hil.virtual.modem.wire import Wire


def sent(data: bytes, faults: LineFaults, seed: int = 1) -> Port:
    port = Port()
    Wire(port, random.Random(seed), faults.baud, faults).send(data)
    return port


def test_split_bytes_come_one_by_one_and_at_the_real_rate() -> None:
    data = bytes(range(256)) * 4
    port = sent(data, LineFaults(split=1))
    assert [len(chunk) for chunk, _ in port.sent] == [1] * len(data)
    assert b"".join(chunk for chunk, _ in port.sent) == data
    gaps = [b[1] - a[1] for a, b in zip(port.sent, port.sent[1:], strict=False)]
    assert max(gaps) <= 87  # 10 bits at 115,200 baud
    assert port.sent[-1][1] - port.now() == pytest.approx(len(data) * 86.8, rel=0.01)


def test_merged_neighbours_arrive_at_once() -> None:
    port = Port()
    wire = Wire(port, random.Random(1), 115_200, LineFaults(merge_ms=50))
    wire.send(b"\r\nOK\r\n")
    wire.send(b"\r\n+CEREG: 1\r\n")
    assert len({due for _, due in port.sent}) == 1
    assert port.sent[0][1] % 50_000 == 0


def test_a_deaf_host_keeps_what_its_fifo_holds() -> None:
    data = random.Random(1).randbytes(1000)
    faults = LineFaults(deaf_chance=1.0, deaf_ms=30)  # 345 bytes at 115,200 baud
    kept = overrun(data, random.Random(7), faults, 115_200)
    missing = len(data) - len(kept)
    assert 0 < missing <= 345 - FIFO_BYTES
    assert data.startswith(kept[:FIFO_BYTES])
    assert data.endswith(kept[-100:]) or missing > 100
    short = b"\r\nOK\r\n"
    assert overrun(short, random.Random(7), faults, 115_200) == short
    assert overrun(data, random.Random(7), LineFaults(), 115_200) == data


@given(data=st.binary(max_size=200), baud=st.sampled_from([9_600, 57_600, 115_200, 230_400]))
def test_a_wrong_rate_makes_garbage_and_a_right_one_none(data: bytes, baud: int) -> None:
    heard = garbled(data, 115_200, baud)
    if baud == 115_200:
        assert heard == data
    else:
        assert len(heard) <= 10 * len(data) + 1
        assert heard == garbled(data, 115_200, baud)


def test_what_a_wrong_rate_does_to_an_at() -> None:
    for baud in (9_600, 57_600, 230_400):
        assert b"AT" not in garbled(b"AT\r" * 20, 115_200, baud)


def test_a_modem_at_another_rate_understands_nothing() -> None:
    async def case(bench: Bench) -> None:
        bench.baudrate = 115_200  # type: ignore[attr-defined]
        await asyncio.sleep(30)
        assert b"RDY" not in bench.heard
        assert bench.heard
        bench.heard.clear()
        bench.write(b"AT\r")
        await asyncio.sleep(5)
        assert OK not in bench.heard
        bench.baudrate = 9_600  # type: ignore[attr-defined]
        bench.write(b"\r")
        bench.heard.clear()
        await ask(bench, "AT")

    other = Scenario(line=LineFaults(baud=9_600))
    play("ec200", case, scenario=other, attach_delay_s=(100, 100))


def test_a_modem_with_autobaud_learns_from_an_at_and_answers_the_next() -> None:
    async def case(bench: Bench) -> None:
        await bench.until(b"+CPIN: READY\r\n")
        await asyncio.sleep(1)
        bench.heard.clear()
        bench.write(b"AT+CPIN?\r")  # not what it learns from
        bench.write(b"AT\r")
        await asyncio.sleep(5)
        assert not bench.heard
        assert await ask(bench, "ATE0")
        bench.twin.restart()
        bench.heard.clear()
        await bench.until(b"+CPIN: READY\r\n")
        await asyncio.sleep(1)
        bench.heard.clear()
        bench.write(b"AT\r")
        await asyncio.sleep(5)
        assert not bench.heard
        await ask(bench, "AT")

    learning = Scenario(line=LineFaults(autobaud=True))
    play("bc660k", case, scenario=learning, attach_delay_s=(100, 100))


def test_split_and_merged_lines_say_the_same() -> None:
    answers = []

    async def case(bench: Bench) -> None:
        await booted(bench)
        answers.append(await ask(bench, "ATI"))

    plain = Scenario()
    for line in (LineFaults(), LineFaults(split=1), LineFaults(split=7, merge_ms=30)):
        play("bc660k", case, scenario=replace(plain, line=line), attach_delay_s=(100, 100))
    assert len(set(answers)) == 1


def test_chatter_slips_into_prompts_and_replies() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        await ask(bench, "AT+QSCLK=0")
        bench.heard.clear()
        for _ in range(20):
            await ask(bench, "AT+CFUN?")
        assert any(line.encode() in seen for seen in seen_all for line in chatter)

    seen_all: list[bytes] = []
    chatter = ("+CSCON: 1", "+CSCON: 0", '+QNBIOTEVENT: "EXIT PSM"')

    async def collecting(bench: Bench) -> None:
        taken = bench.until

        async def until(mark: bytes, seconds: float = 60) -> bytes:
            got = await taken(mark, seconds)
            seen_all.append(got)
            return got

        bench.until = until  # type: ignore[method-assign]
        await case(bench)

    play("bc660k", collecting, chatter=0.5, attach_delay_s=(100, 100))
