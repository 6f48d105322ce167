"""The replay of a recorded modem: what is answered, what is a departure, what a file may hold."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modem_bench import START_US, Bench, jumping

from hil.virtual.modem.replay import Departure, Replay, StrictReplay
from hil.virtual.modem.replay_lenient import LenientReplay
from hil.virtual.modem.transcript import Step, TranscriptError, load, parse

OK = "\r\nOK\r\n"
Case = Callable[[Bench], Awaitable[None]]
Line = tuple[str | None, str, float]


def record(*lines: Line) -> tuple[Step, ...]:
    keys = ("request", "reply", "delay")
    text = "\n".join(json.dumps(dict(zip(keys, line, strict=True))) for line in lines)
    return parse(text.encode(), "t")


def play(twin: Replay, case: Case) -> None:
    async def main() -> None:
        bench = Bench(twin)  # type: ignore[arg-type]
        twin.power_on()
        await case(bench)

    jumping(main)


def strict(case: Case, *lines: Line, **options: Any) -> StrictReplay:
    twin = StrictReplay(record(*lines), **options)
    play(twin, case)
    return twin


def lenient(case: Case, *lines: Line) -> LenientReplay:
    twin = LenientReplay(record(*lines))
    play(twin, case)
    return twin


async def ask(bench: Bench, text: str, mark: str = OK) -> str:
    bench.write(text.encode("latin-1") + b"\r")
    return (await bench.until(mark.encode("latin-1"))).decode("latin-1")


async def quiet(bench: Bench) -> None:
    """Nothing is sent in an hour."""
    bench.heard.clear()
    await asyncio.sleep(3600)
    assert not bench.heard


SESSION: tuple[Line, ...] = (
    (None, "\r\nRDY\r\n", 1.5),
    ("AT", "\r\n", 1.817),
    ("AT", OK, 0.022),
    ("AT+CEREG?", "\r\n+CEREG: 0,2\r\n" + OK, 0.02),
    ("AT+CEREG?", "\r\n+CEREG: 0,1\r\n" + OK, 0.02),
    ('AT+QIOPEN=0,0,"TCP","10.0.0.1",7,0,1', OK, 0.01),
    (None, "\r\n+QIOPEN: 0,0\r\n", 0.9),
    ("AT+QISEND=0,7", "\r\n> ", 0.01),
    ("\xff\r\x00 >AT", "\r\nOK\r\n\r\nSEND OK\r\n", 0.05),
    (None, '\r\n+QIURC: "recv",0,6,\r\nOK\r\n\r\n', 0.5),
    ("AT+QICLOSE=0", "\r\nOK\r\n\r\nCLOSE OK\r\n", 0.1),
)


async def whole_session(bench: Bench) -> None:
    await bench.until(b"RDY\r\n")
    assert await ask(bench, "AT", "\r\n") == "\r\n"
    await ask(bench, "AT")
    assert "0,2" in await ask(bench, "AT+CEREG?")
    assert "0,1" in await ask(bench, "at+cereg?")
    await ask(bench, 'AT+QIOPEN=0,0,"TCP","10.0.0.1",7,0,1', "+QIOPEN: 0,0\r\n")
    await ask(bench, "AT+QISEND=0,7", "> ")
    bench.write(b"\xff\r\x00 >AT")
    await bench.until(b"SEND OK\r\n")
    await bench.until(b"0,6,\r\nOK\r\n\r\n")
    await ask(bench, "AT+QICLOSE=0", "CLOSE OK\r\n")
    await quiet(bench)


@pytest.mark.parametrize("kind", [StrictReplay, LenientReplay])
def test_the_driver_that_was_recorded_finds_its_modem_again(kind: type[Replay]) -> None:
    twin = kind(record(*SESSION))
    play(twin, whole_session)
    assert twin.departures == []
    assert twin.never_reached() == []
    assert twin.commands == 7


def test_a_reply_begins_after_its_delay_and_takes_its_time_on_the_wire() -> None:
    async def case(bench: Bench) -> None:
        bench.write(b"AT\r")
        await bench.until(b"OK\r\n")
        await bench.until(b"+X\r\n")
        byte_us = 10 * 1_000_000 / 9600
        assert bench.due_us[0] > START_US + 1_817_000 + 3 * byte_us
        said = START_US + 1_817_000 + 9 * byte_us  # 3 in, 6 out
        assert bench.due_us[-1] == pytest.approx(said + 250_000 + 6 * byte_us, abs=50)

    strict(case, ("AT", OK, 1.817), (None, "\r\n+X\r\n", 0.25), baud=9600)


def test_replies_keep_their_order_when_the_driver_does_not_wait() -> None:
    async def case(bench: Bench) -> None:
        bench.write(b"AT+A\rAT+B\r")
        heard = await bench.until(b"+B\r\n")
        assert heard == b"\r\n+A\r\n\r\n+B\r\n"
        assert bench.loop.time() > 5

    strict(case, ("AT+A", "\r\n+A\r\n", 5), ("AT+B", "\r\n+B\r\n", 0))


def test_what_comes_unasked_holds_nobody_up() -> None:
    async def case(bench: Bench) -> None:
        await ask(bench, "AT+A")
        await ask(bench, "AT+B")
        assert bench.loop.time() < 1
        await bench.until(b"+LATE\r\n")
        assert 30 < bench.loop.time() < 31

    assert strict(
        case, ("AT+A", OK, 0), (None, "\r\n+LATE\r\n", 30), ("AT+B", OK, 0)
    ).never_reached() == []  # fmt: skip


def test_a_driver_is_heard_as_a_modem_hears_it() -> None:
    async def case(bench: Bench) -> None:
        bench.write(b"\r\r\n\x1b+++at+cfun=1  \r\n")
        await bench.until(OK.encode())

    assert not strict(case, ("AT+CFUN=1\r\n", OK, 0)).departed


# -- strict -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "written", "departure"),
    [
        ([("AT+A", OK, 0), ("AT+B", OK, 0)], b"AT+B\r", Departure(1, b"AT+A", b"AT+B")),
        ([("AT+A=1", OK, 0)], b"AT+A=2\r", Departure(1, b"AT+A=1", b"AT+A=2")),
        ([('AT+A="x"', OK, 0)], b'at+a="X"\r', Departure(1, b'AT+A="x"', b'at+a="X"')),
        ([("AT", OK, 0)], b"AT\rAT+A\r", Departure(1, None, b"AT+A")),
        ([(None, OK, 0), ("AT", OK, 0)], b"hello\r", Departure(2, b"AT", b"hello")),
        ([("AT", OK, 0)], b"AT" + b"X" * 9000 + b"\r", None),
    ],
)
def test_strict_tells_where_the_driver_departs(
    lines: list[Line], written: bytes, departure: Departure | None
) -> None:
    async def case(bench: Bench) -> None:
        bench.write(written)
        await asyncio.sleep(60)
        bench.write(b"AT+A\rAT\r")  # mute from then on
        await quiet(bench)

    twin = strict(case, *lines)
    assert twin.departed == 1
    if departure is not None:
        assert twin.departures == [departure]


def test_strict_compares_data_as_they_come() -> None:
    async def case(bench: Bench) -> None:
        await ask(bench, "AT+QISEND=0,9", "> ")
        bench.write(b"hel")
        assert not bench.twin.departed  # type: ignore[attr-defined]
        bench.write(b"p me")
        assert bench.twin.departed == 1  # type: ignore[attr-defined]
        await quiet(bench)

    lines: list[Line] = [("AT+QISEND=0,9", "\r\n> ", 0), ("hello all", OK, 0), ("AT", OK, 0)]
    twin = strict(case, *lines)
    assert twin.departures == [Departure(2, b"hello all", b"help")]
    assert [step.line for step in twin.never_reached()] == [2, 3]


@pytest.mark.parametrize("kind", [StrictReplay, LenientReplay])
def test_data_before_the_prompt_are_a_departure(kind: type[Replay]) -> None:
    async def case(bench: Bench) -> None:
        bench.write(b"AT+QISEND=0,5\rhello")
        await asyncio.sleep(60)

    twin = kind(record(("AT+QISEND=0,5", "\r\n> ", 0.1), ("hello", OK, 0)))
    play(twin, case)
    assert twin.departures == [Departure(2, b"hello", b"hello")]


def test_a_power_cut_takes_what_was_not_said_and_the_record_goes_on() -> None:
    async def case(bench: Bench) -> None:
        bench.write(b"AT+A\rAT+")
        for timer in bench.timers:
            timer.cancel()
        bench.twin.power_off()
        bench.twin.power_on()
        assert await ask(bench, "AT+B") == OK

    assert not strict(
        case, (None, "\r\nRDY\r\n", 1), ("AT+A", "\r\n+A\r\n", 1), ("AT+B", OK, 0)
    ).departed  # fmt: skip


# -- lenient ------------------------------------------------------------------------------------


def test_lenient_answers_in_any_order_in_turn_and_the_last_repeats() -> None:
    async def case(bench: Bench) -> None:
        assert await ask(bench, "AT+B?") == "\r\n+B: 1\r\n" + OK
        assert "+A: 1" in await ask(bench, "AT+A?")
        assert "+A: 2" in await ask(bench, "AT+A?")
        assert "+A: 2" in await ask(bench, "AT+A?")
        assert "+B: 1" in await ask(bench, "AT+B?")

    twin = lenient(
        case,
        ("AT+A?", "\r\n+A: 1\r\n" + OK, 0),
        ("AT+A?", "\r\n+A: 2\r\n" + OK, 0),
        ("AT+B?", "\r\n+B: 1\r\n" + OK, 0),
        ("AT+C?", OK, 0),
    )
    assert twin.departures == []
    assert [step.line for step in twin.never_reached()] == [4]


def test_lenient_keeps_arguments_apart_and_falls_back_on_the_name() -> None:
    async def case(bench: Bench) -> None:
        assert "second" in await ask(bench, "AT+A=2")
        assert "first" in await ask(bench, "AT+A=9")  # the turns that are left
        assert "test" in await ask(bench, "AT+A=?")
        assert "second" in await ask(bench, "AT+A=8,8")  # the last repeats
        assert "read" in await ask(bench, "AT+A?")
        await ask(bench, "AT+AB=1", "\r\nERROR\r\n")
        await ask(bench, "AT+A", "\r\nERROR\r\n")

    twin = lenient(
        case,
        ("AT+A=?", "\r\ntest\r\n" + OK, 0),
        ("AT+A?", "\r\nread\r\n" + OK, 0),
        ("AT+A=1", "\r\nfirst\r\n" + OK, 0),
        ("AT+A=2", "\r\nsecond\r\n" + OK, 0),
    )
    assert twin.departures == [
        Departure(3, b"AT+A=1", b"AT+A=9"),
        Departure(4, b"AT+A=2", b"AT+A=8,8"),
        Departure(2, None, b"AT+AB=1"),
        Departure(2, None, b"AT+A"),
    ]


def test_lenient_says_again_what_came_unasked_behind_an_answer() -> None:
    async def case(bench: Bench) -> None:
        for _ in range(3):
            await ask(bench, 'AT+QIOPEN=0,0,"TCP","10.0.0.1",7,0,1', "\r\n+QIOPEN: 0,0\r\n")

    lenient(
        case,
        ('AT+QIOPEN=0,0,"TCP","10.0.0.1",7,0,1', OK, 0),
        (None, "\r\n+QIOPEN: 0,0\r\n", 1),
    )


SEND = ("AT+QISEND=0,5", "\r\n> ", 0.0)


@pytest.mark.parametrize(
    ("lines", "command", "data"),
    [
        ([SEND, ("hello", OK, 0)], "AT+QISEND=0,5", "OK\r\n>"),
        ([SEND, ("hello", OK, 0)], "AT+QISEND=3,11", "a\r\nAT\r\n> b\r"),
        ([(*SEND[:1], "\r\n> \r\n+CSCON: 1\r\n", 0), ("hello", OK, 0)], "AT+QISEND=0,2", "xy"),
        ([("AT+CIPSEND=5,5", "\r\n>", 0), ("hello", OK, 0)], "AT+CIPSEND=9,1", "x"),
        ([("AT+QISEND=0", "\r\n> ", 0), ("hello\x1a", OK, 0)], "AT+QISEND=1", "so much more\x1a"),
        ([("AT+QISEND", "\r\n> ", 0), ("hello", OK, 0)], "AT+QISEND", "world"),
    ],
)  # fmt: skip
def test_lenient_takes_as_much_data_as_the_driver_announced(
    lines: list[Line], command: str, data: str
) -> None:
    data = data[:5] if command == "AT+QISEND=0,5" else data

    async def case(bench: Bench) -> None:
        await ask(bench, command, ">")
        await asyncio.sleep(1)
        bench.heard.clear()
        for c in data[:-1].encode("latin-1"):
            bench.write(bytes((c,)))
        await quiet(bench)
        bench.write(data[-1:].encode("latin-1"))
        assert await bench.until(OK.encode()) == OK.encode()
        assert "5" in await ask(bench, "AT+CSQ")

    twin = lenient(case, *lines, ("AT+CSQ", "\r\n+CSQ: 5,99\r\n" + OK, 0))
    assert twin.departures[-1] == Departure(2, lines[1][0].encode(), data.encode())  # type: ignore[union-attr]
    assert twin.never_reached() == []


def test_lenient_refuses_data_that_the_record_does_not_have() -> None:
    async def case(bench: Bench) -> None:
        await ask(bench, "AT+QISEND=0,3", "> ")
        bench.write(b"abc")
        await bench.until(b"\r\nERROR\r\n")
        await ask(bench, "AT")

    twin = lenient(case, ("AT", OK, 0), SEND)
    assert twin.departures == [
        Departure(2, b"AT+QISEND=0,5", b"AT+QISEND=0,3"),
        Departure(2, None, b"abc"),
    ]


# -- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("AT", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('{"reply": "OK"}', "request is missing"),
        ('{"request": "AT"}', "reply is missing"),
        ('{"request": 1, "reply": "OK"}', "request is not text"),
        ('{"request": "AT", "reply": []}', "reply is not text"),
        ('{"request": "", "reply": "OK"}', "request is empty"),
        ('{"request": null, "reply": ""}', "neither"),
        ('{"request": "AT", "reply": "\\u2026"}', "no byte"),
        ('{"request": "AT\\ud800", "reply": "OK"}', "no byte"),
        ('{"request": "AT", "reply": "OK", "delay": "1"}', "delay is not a number"),
        ('{"request": "AT", "reply": "OK", "delay": true}', "delay is not a number"),
        ('{"request": "AT", "reply": "OK", "delay": -1}', "delay is not within"),
        ('{"request": "AT", "reply": "OK", "delay": NaN}', "delay is not within"),
        ('{"request": "AT", "reply": "OK", "delay": 1e999}', "delay is not within"),
        ('{"request": "AT", "reply": "OK", "delay": 1' + "0" * 400 + "}", "delay is not within"),
        ('{"request": "AT", "reply": "OK", "delay": ' + "1" * 9000 + "}", "not JSON"),
        ('{"request": "AT\\rATI", "reply": "OK"}', "no prompt"),
        ('{"request": "AT", "reply": "' + "x" * 70_000 + '"}', "longer than"),
    ],
)
def test_a_bad_line_is_told_with_its_place(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('\n{"request": "AT", "reply": "OK"}\n\n' + line + "\n")
    with pytest.raises(TranscriptError) as e:
        load(path)
    assert str(e.value).startswith(f"{path}:4: ")
    assert reason in str(e.value)


def test_a_file_without_a_step_or_too_long_is_refused() -> None:
    with pytest.raises(TranscriptError, match=r"^t:1: .*empty"):
        parse(b"\n\n", "t")
    with pytest.raises(TranscriptError, match=r"^t:100001: "):
        parse(b"\n" * 200_000, "t")


def test_a_command_and_its_data_may_stand_in_one_request() -> None:
    steps = record(("AT+QISEND=0,5\r\nhello", "\r\n> \r\nSEND OK\r\n", 0.1))
    assert steps == (
        Step(1, b"AT+QISEND=0,5", b"\r\n> ", 100_000),
        Step(1, b"hello", b"\r\nSEND OK\r\n", 0, is_data=True),
    )


values = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8)
entries: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {}, optional={key: values | st.just([]) for key in ("request", "reply", "delay")}
)


@given(st.binary(max_size=200) | st.lists(entries, max_size=4))
@settings(max_examples=300)
def test_any_file_is_a_transcript_or_refused(content: bytes | list[Any]) -> None:
    if isinstance(content, list):
        content = "\n".join(json.dumps(entry) for entry in content).encode()
    with contextlib.suppress(TranscriptError):
        assert parse(content, "t")


@given(
    st.lists(st.binary(max_size=30) | st.sampled_from([b"AT\r", b"AT+QISEND=0,7\r"]), max_size=12),
    st.sampled_from([StrictReplay, LenientReplay]),
)
@settings(max_examples=200, deadline=None)
def test_any_bytes_of_a_driver_are_taken(pieces: list[bytes], kind: type[Replay]) -> None:
    async def case(bench: Bench) -> None:
        for piece in pieces:
            bench.write(piece)
            await asyncio.sleep(0.5)

    twin = kind(record(*SESSION))
    play(twin, case)
    assert twin.departed >= len(twin.departures)
