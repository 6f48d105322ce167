"""The AT engine against a scripted modem: deadlines, late answers, echoes, prompts."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from at_stream import Scripted
from modem_bench import jumping
from node.errors import AtError, AtTimeout, ModemMute
from node.link.at import At


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    jumping(main)


def seconds() -> float:
    return asyncio.get_running_loop().time()


def test_lines_of_a_reply_with_a_urc_and_an_echo_between() -> None:
    async def main() -> None:
        reply = b"AT+CSQ\r\r\n+CSQ: 1,2\r\n\r\n+IP: 10.0.0.1\r\n\r\n+X: y\r\n\r\nOK\r\n"
        at = At(Scripted(lambda data: reply))
        seen: list[str] = []
        at.on_urc("+IP:", lambda line, payload: seen.append(line))
        assert await at.command("AT+CSQ", 500) == ["+CSQ: 1,2", "+X: y"]
        assert seen == ["+IP: 10.0.0.1"]
        assert await at.command("AT+CSQ", 500, expect="+CSQ:") == ["+CSQ: 1,2"]

    run(main)


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (b"\r\nERROR\r\n", 0),
        (b"\r\n+CME ERROR: 30\r\n", 30),
        (b"\r\n+CMS ERROR: 321\r\n", 321),
        (b"\r\n+CME ERROR: no network\r\n", 0),
        (b"\r\n+CME ERROR: 99999999999\r\n", 0),
    ],
)
def test_errors_carry_their_number(reply: bytes, cause: int) -> None:
    async def main() -> None:
        at = At(Scripted(lambda data: reply))
        with pytest.raises(AtError) as caught:
            await at.command("AT+QIACT=1", 500)
        assert caught.value.cause == cause

    run(main)


def test_a_command_ends_at_its_deadline_and_the_next_one_finds_a_mute_modem() -> None:
    async def main() -> None:
        at = At(Scripted(lambda data: None))
        with pytest.raises(AtTimeout):
            await at.command("AT+CSQ", 300)
        assert seconds() == pytest.approx(0.3)
        with pytest.raises(ModemMute):
            await at.command("AT+CSQ", 300)
        assert seconds() < 2.5

    run(main)


def late_ok() -> Scripted:
    # The first command is answered after its deadline; later ones at once, by name.
    def answer(data: bytes) -> bytes | None:
        if data == b"AT+SLOW\r":
            stream.later(1.02, b"\r\nOK\r\n")
            return None
        if data == b"AT\r":
            return b"\r\nOK\r\n"
        stream.later(0.2, b"\r\n+FAST: 7\r\n\r\nOK\r\n")
        return None

    stream = Scripted(answer)
    return stream


def test_a_late_ok_is_never_taken_for_the_next_commands() -> None:
    async def main() -> None:
        at = At(late_ok())
        with pytest.raises(AtTimeout):
            await at.command("AT+SLOW", 1000)
        assert await at.command("AT+FAST", 1000) == ["+FAST: 7"]

    run(main)


def test_without_looking_for_the_modem_the_late_ok_would_be_taken() -> None:
    """Sabotage of the guard above."""

    async def main() -> None:
        at = At(late_ok())
        with pytest.raises(AtTimeout):
            await at.command("AT+SLOW", 1000)
        at._stale = False
        assert await at.command("AT+FAST", 1000) == []

    run(main)


def test_a_cancelled_command_leaves_the_engine_usable() -> None:
    async def main() -> None:
        at = At(late_ok())
        task = asyncio.create_task(at.command("AT+SLOW", 60_000))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.5)
        assert await at.command("AT+FAST", 1000) == ["+FAST: 7"]

    run(main)


def test_commands_of_two_tasks_never_mix() -> None:
    async def main() -> None:
        def answer(data: bytes) -> None:
            name = data.strip()
            stream.later(0.05, b"\r\n" + name[2:] + b": 1\r\n\r\nOK\r\n")

        stream = Scripted(answer)
        at = At(stream)
        results = await asyncio.gather(*(at.command(f"AT+N{i}", 500) for i in range(5)))
        assert results == [[f"+N{i}: 1"] for i in range(5)]

    run(main)


@pytest.mark.parametrize("data", [b"hello", b"\r\nOK\r\n> SEND OK", bytes(range(256))])
def test_data_goes_out_at_the_prompt_and_not_before(data: bytes) -> None:
    async def main() -> None:
        def answer(written: bytes) -> bytes | None:
            if written.startswith(b"AT+QISEND"):
                stream.later(0.1, b'\r\n+QIURC: "recv",0,4,> \r\n\r\n\r\n> ')
                return None
            assert seconds() >= 0.1
            return b"\r\nOK\r\n\r\nSEND OK\r\n"

        stream = Scripted(answer)
        at = At(stream)
        got: list[bytes] = []
        at.on_urc('+QIURC: "recv",', lambda line, data: got.append(data), lambda line: 4, 3)
        lines = await at.command("AT+QISEND=0,5", 1000, until=("SEND OK",), data=data)
        assert lines == ["SEND OK"]
        assert bytes(stream.written).endswith(data)
        assert got == [b"> \r\n"]

    run(main)


def test_an_error_instead_of_the_prompt_keeps_the_data_back() -> None:
    async def main() -> None:
        stream = Scripted(lambda data: b"\r\nERROR\r\n")
        at = At(stream)
        with pytest.raises(AtError):
            await at.command("AT+QISEND=0,4", 500, until=("SEND OK",), data=b"data")
        assert bytes(stream.written) == b"AT+QISEND=0,4\r"

    run(main)


def test_a_prompt_that_never_comes_is_a_timeout_and_the_modem_gets_what_it_waits_for() -> None:
    """The prompt was lost: the modem would take the next command for data."""

    async def main() -> None:
        state = {"owed": 0}

        def answer(written: bytes) -> bytes | None:
            if state["owed"]:
                taken = min(state["owed"], len(written))
                state["owed"] -= taken
                written = written[taken:]
                if not state["owed"]:
                    stream.push(b"\r\nSEND OK\r\n")
            if written.startswith(b"AT+QISEND"):
                state["owed"] = 40
                return None
            return b"\r\nOK\r\n" if written.startswith(b"AT") else None

        stream = Scripted(answer)
        at = At(stream)
        with pytest.raises(AtTimeout):
            await at.command("AT+QISEND=0,40", 500, until=("SEND OK",), data=b"d" * 40)
        assert await at.command("AT+CSQ", 500) == []
        assert state["owed"] == 0

    run(main)


def test_the_result_that_comes_after_ok_ends_the_command() -> None:
    async def main() -> None:
        def answer(data: bytes) -> bytes:
            stream.later(3, b"\r\n+QIOPEN: 1,0\r\n\r\n+QIOPEN: 0,566\r\n")
            return b"\r\nOK\r\n"

        stream = Scripted(answer)
        at = At(stream)
        lines = await at.command("AT+QIOPEN", 5000, until=("+QIOPEN: 0,",))
        assert lines[-1] == "+QIOPEN: 0,566"
        assert seconds() == pytest.approx(3)

    run(main)


def test_sync_copes_with_a_first_at_that_is_swallowed() -> None:
    async def main() -> None:
        count = 0

        def answer(data: bytes) -> bytes:
            nonlocal count
            count += 1
            return b"\r\n" if count == 1 else b"\r\nOK\r\n"

        at = At(Scripted(answer))
        await at.sync(5)
        assert count == 2

    run(main)


def test_a_modem_that_chatters_for_ever_does_not_hold_sync_up() -> None:
    async def main() -> None:
        stream = Scripted(lambda data: b"\r\nOK\r\n")
        at = At(stream)

        def chatter() -> None:
            stream.later(0.01, b"\r\n+NOISE: 1\r\n")
            asyncio.get_running_loop().call_later(0.01, chatter)

        chatter()
        await at.sync(3)
        assert seconds() < 2

    run(main)


def test_a_reply_without_end_is_bounded_in_memory() -> None:
    async def main() -> None:
        at = At(Scripted(lambda data: b"\r\n+X: 1\r\n" * 1000 + b"\r\nOK\r\n"))
        assert len(await at.command("AT+X", 500)) == 64

    run(main)


def test_after_stop_another_reader_may_have_the_uart() -> None:
    async def main() -> None:
        stream = Scripted(lambda data: b"\r\nOK\r\n")
        first, second = At(stream), At(stream)
        await first.command("AT", 500)
        first.stop()
        await second.command("AT", 500)
        second.stop()
        await first.command("AT", 500)

    run(main)


@pytest.mark.parametrize(
    "reply", [b"\r\n+CAOPEN: 0,0\r\n\r\nOK\r\n", b"\r\nOK\r\n\r\n+CAOPEN: 0,0\r\n"]
)
def test_a_result_may_come_before_or_after_its_ok(reply: bytes) -> None:
    """The OK behind a result, 30 ms late, is not the next command's."""

    async def main() -> None:
        def answer(data: bytes) -> None:
            if data.startswith(b"AT+CAOPEN"):
                half = reply.index(b"\n", 3) + 1
                stream.push(reply[:half])
                stream.later(0.03, reply[half:])
            else:
                stream.later(0.1, b"\r\n+CSQ: 7,99\r\n\r\nOK\r\n")

        stream = Scripted(answer)
        at = At(stream)
        for _ in range(3):
            await at.command("AT+CAOPEN=0", 1000, until=("+CAOPEN: 0,",))
            assert await at.command("AT+CSQ", 1000) == ["+CSQ: 7,99"]
        assert seconds() < 0.8

    run(main)


def test_an_ok_before_the_prompt_is_not_the_end_of_a_send() -> None:
    async def main() -> None:
        def answer(data: bytes) -> bytes | None:
            if data.startswith(b"AT+CASEND"):
                stream.later(0.05, b"\r\n> ")
                return b"\r\nOK\r\n"  # somebody else's
            return b"\r\nOK\r\n"

        stream = Scripted(answer)
        await At(stream).command("AT+CASEND=0,5", 1000, data=b"hello")
        assert bytes(stream.written) == b"AT+CASEND=0,5\rhello"

    run(main)


def test_a_restart_ends_the_running_command_and_its_banners_ok_is_nobodys() -> None:
    async def main() -> None:
        def answer(data: bytes) -> bytes | None:
            if data == b"AT+QIACT=1\r":
                stream.later(1, b"\r\nREBOOT_CAUSE_SECURITY_RESET_PIN\r\nNeul \r\nOK\r\n")
                return None
            stream.later(
                0.02, b"\r\n+CSQ: 7,99\r\n\r\nOK\r\n" if b"CSQ" in data else b"\r\nOK\r\n"
            )
            return None

        stream = Scripted(answer)
        at = At(stream)
        at.on_urc("REBOOT", lambda line, payload: at.interrupt())
        with pytest.raises(AtError):
            await at.command("AT+QIACT=1", 150_000)
        assert seconds() == pytest.approx(1)
        assert await at.command("AT+CSQ", 1000) == ["+CSQ: 7,99"]
        at.interrupt()  # with nothing running: nothing

    run(main)


def test_echoes_of_this_and_of_an_earlier_command_are_no_part_of_a_reply() -> None:
    async def main() -> None:
        at = At(Scripted(lambda data: b"AT\rAT+CIMI\r\r\n460041234567890\r\n\r\nOK\r\n"))
        assert await at.command("AT+CIMI", 500) == ["460041234567890"]

    run(main)


@pytest.mark.parametrize(("answered_s", "works"), [(0.5, True), (5.0, False)])
def test_behind_rdy_a_command_has_two_seconds(answered_s: float, works: bool) -> None:
    """One that came in with the restart is answered; one from before it never is."""

    async def main() -> None:
        def answer(data: bytes) -> None:
            stream.later(0.1, b"\r\nRDY\r\n")
            stream.later(0.1 + answered_s, b"\r\nOK\r\n")

        stream = Scripted(answer)
        at = At(stream)
        at.on_urc("RDY", lambda line, payload: at.hurry())
        if works:
            await at.command("ATE0", 25_000)
            await asyncio.sleep(3)
            return
        with pytest.raises(AtError) as caught:
            await at.command("AT+CFUN=1", 25_000)
        assert caught.value.cause == 0
        assert seconds() == pytest.approx(2.1)

    run(main)


def test_bytes_that_are_no_command_go_out_as_they_are() -> None:
    async def main() -> None:
        stream = Scripted(lambda data: None)
        at = At(stream)
        await at.write(b"+++")
        assert bytes(stream.written) == b"+++"

        async def full() -> None:
            await asyncio.sleep(10)

        stream.drain = full  # type: ignore[method-assign]
        with pytest.raises(ModemMute):
            await at.write(b"\r" * 1000)
        assert seconds() < 3

    run(main)


def test_the_error_behind_a_result_is_not_the_next_commands() -> None:
    """A76XX: `+CIPOPEN: 0,4` and then ERROR."""

    async def main() -> None:
        def answer(data: bytes) -> None:
            if data.startswith(b"AT+CIPOPEN"):
                stream.push(b"\r\n+CIPOPEN: 0,4\r\n")
                stream.later(0.02, b"\r\nERROR\r\n")
            else:
                stream.later(0.05, b"\r\nOK\r\n\r\n+CIPCLOSE: 0,0\r\n")

        stream = Scripted(answer)
        at = At(stream)
        assert await at.command("AT+CIPOPEN=0", 500, until=("+CIPOPEN: 0,",)) == ["+CIPOPEN: 0,4"]
        assert await at.command("AT+CIPCLOSE=0", 500, until=("+CIPCLOSE: 0,",)) == [
            "+CIPCLOSE: 0,0"
        ]

    run(main)


def test_what_comes_behind_the_result_in_one_chunk_is_no_part_of_it() -> None:
    async def main() -> None:
        reply = b"\r\nSEND OK\r\n\r\nOK\r\n\r\n+CSCON: 0\r\n"
        stream = Scripted(lambda data: b"\r\n> " if data[:2] == b"AT" else reply)
        at = At(stream)
        lines = await at.command("AT+QISEND=0,2", 500, until=("SEND OK", "SEND FAIL"), data=b"hi")
        assert lines == ["SEND OK"]

    run(main)
