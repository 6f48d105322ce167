"""The traps in the grammar of AT: each is named by a test, which a naive parser fails.

Sources of the shapes: transcripts and issues of public drivers, and the vendors' manuals.
"""

import asyncio
from typing import Any

import naive_parser
import pytest
from at_stream import Scripted
from node.errors import AtError, AtTimeout, SocketError
from node.link import replies
from node.link.modems.bc660k import Bc660k
from trap import Kit, Naive, Prompting, Real, driver, engine_of, springs

OK = b"\r\nOK\r\n"
NASTY = b'\r\nOK\r\n> \r\nERROR\r\n+QIURC: "closed",0\r\n'


def answering(answers: dict[bytes, bytes], otherwise: bytes = OK) -> Scripted:
    """A modem that answers each command line at once."""
    return Scripted(lambda data: answers.get(data.rstrip(b"\r"), otherwise))


@pytest.mark.parametrize(
    "reply",
    [
        b"AT+IFC?\r\r\n+IFC: 1,2\r\nOK\r\n",
        b"AT+IFC?\r\r\n\r\n+IFC: 1,2\r\n\r\nOK\r\n",
        b"AT+IFC?\r\n+IFC: 1,2\r\n\r\n\r\nOK\r\n",
    ],
)
def test_trap_replies_differ_in_blank_lines_and_echo(reply: bytes) -> None:
    """Rule 1: one or two line ends before OK, and an echo that ends in CR CR LF."""

    async def scenario(kit: Kit) -> None:
        at = kit.engine(answering({b"AT+IFC?": reply}))
        assert await at.command("AT+IFC?", 500) == ["+IFC: 1,2"]

    springs(scenario, AssertionError, "['AT+IFC?', '+IFC: 1,2'] == ['+IFC: 1,2']")


def test_trap_spacing_behind_the_colon_differs() -> None:
    """Rule 2: `+CEREG: 0,1` of Qualcomm, `+CGATT:1` of HiSilicon."""

    async def scenario(kit: Kit) -> None:
        reply = b"\r\n+CGATT: 1\r\n\r\n+CGATT:1\r\n\r\n+NSONMI:0,30\r\n" + OK
        at = kit.engine(answering({b"AT+X": reply}))
        lines = await at.command("AT+X", 500)
        assert [kit.values(line) for line in lines] == [["1"], ["1"], ["0", "30"]]

    springs(scenario, IndexError, "list index out of range")


@pytest.mark.parametrize(
    ("line", "stat", "naively"),
    [
        ('+CEREG: 1,"19E6","94",9', 1, "'\"19E6\"'"),
        ('+CEREG: 5,"0001","0000ABCD",7', 5, "'\"0001\"'"),
        ("+CEREG:1,19E6,94,7", 1, "list index out of range"),
    ],
)
def test_trap_the_registration_urc_has_one_field_less(line: str, stat: int, naively: str) -> None:
    """Rule 3: the answer to the query begins with <n>, the URC does not."""

    async def scenario(kit: Kit) -> None:
        assert kit.stat(line) == stat

    springs(scenario, LookupError if "index" in naively else ValueError, naively)


def test_trap_the_registration_urc_looks_like_another_answer() -> None:
    """Rule 3, where nothing raises: the area code is taken for the status."""

    async def scenario(kit: Kit) -> None:
        assert kit.stat("+CEREG: 0,1") == 1
        assert kit.stat("+CEREG: 1,0005,94,7") == 1

    springs(scenario, AssertionError, "assert 5 == 1")


@pytest.mark.parametrize(
    "noise",
    [
        b"F1: 0000 0000\r\nV0: 0000 0000 [0001]\r\nLeaving the BROM\r\n\r\nOK\r\n",
        b"\r\nRDY\r\n\r\n+CFUN: 1\r\n\r\nOK\r\n",
        b"\x00\xffBoot: Unsigned\r\nSecurity B.. Verified\r\nREBOOT_CAUSE_X\r\nNeul \r\nOK\r\n",
        b"\r\n*ATREADY: 1\r\n\r\nSMS Ready\r\n\r\nOK\r\n",
    ],
)
def test_trap_boot_noise_comes_before_the_first_line(noise: bytes) -> None:
    """Rule 4. With an OK in it, as Neul's banner has: nobody asked for that."""

    async def scenario(kit: Kit) -> None:
        def answer(data: bytes) -> bytes | None:
            if data == b"AT\r":
                stream.push(noise)
                stream.later(0.03, OK)  # the answer, behind the noise
                return None
            stream.later(0.1, b"\r\nBC26\r\n" + OK)
            return None

        stream = Scripted(answer)
        at = kit.engine(stream)
        await at.sync(5)
        assert await at.command("AT+CGMM", 1000) == ["BC26"]

    springs(scenario, AssertionError, "assert [] == ['BC26']")


def test_trap_first_at_after_sleep_is_swallowed() -> None:
    """Rule 5: a blank line after 1.817 s, the next AT is answered in 22 ms."""

    async def scenario(kit: Kit) -> None:
        asleep = True

        def answer(data: bytes) -> None:
            nonlocal asleep
            if asleep:
                asleep = False
                stream.later(1.817, b"\r\n")
            else:
                stream.later(0.022, OK)

        stream = Scripted(answer)
        at = kit.engine(stream)
        await at.sync(10)
        await at.command("AT+QIOPEN=0", 1000)
        assert bytes(stream.written).startswith(b"AT\rAT\r")

    springs(scenario, AtTimeout, "AT: not done in 500 ms")


@pytest.mark.parametrize(
    ("command", "result", "until"),
    [
        ("AT+QIOPEN=0,0", "+QIOPEN: 0,566", "+QIOPEN: 0,"),
        ("AT+QICLOSE=0", "CLOSE OK", "CLOSE OK"),
        ("AT+QIDNSGIP=0", "+QIDNSGIP: 10.0.0.1", "+QIDNSGIP:"),
        ("AT+QMTOPEN=0", "+QMTOPEN: 0,0", "+QMTOPEN: 0,"),
        ("AT+QDNS=0,h", "+QDNS:10.0.0.1", "+QDNS:"),
        ("AT+CNACT=0,1", "+APP PDP: 0,ACTIVE", "+APP PDP: 0,"),
        ("AT+CIPOPEN=0", "+CIPOPEN: 0,0", "+CIPOPEN: 0,"),
        ("AT+NETOPEN", "+NETOPEN: 0", "+NETOPEN:"),
    ],
)
def test_trap_results_come_behind_ok(command: str, result: str, until: str) -> None:
    """Rule 6: OK says only that the modem will try."""

    async def scenario(kit: Kit) -> None:
        def answer(data: bytes) -> bytes:
            stream.later(2, f"\r\n{result}\r\n".encode())
            return OK

        stream = Scripted(answer)
        lines = await kit.engine(stream).command(command, 75_000, until=(until,))
        assert lines[-1:] == [result]

    springs(scenario, AssertionError, f"assert [] == [{result!r}]")


@pytest.mark.parametrize(
    ("family", "urc"),
    [
        ("bc660k", b'\r\n+QIURC: "recv",0,%d,%s\r\n' % (len(NASTY), NASTY)),
        ("ec200", b'\r\n+QIURC: "recv",0,%d\r\n%s\r\n' % (len(NASTY), NASTY)),
        ("a7670", b"\r\n+CIPRXGET: 2,0,%d,0\r\n%s\r\n" % (len(NASTY), NASTY)),
        ("sim7080", b"\r\n+CARECV: %d,%s\r\n" % (len(NASTY), NASTY)),
    ],
)
def test_trap_payloads_contain_ok_prompts_and_urcs(family: str, urc: bytes) -> None:
    """Rule 7: only its length says where a payload ends."""

    async def scenario(kit: Kit) -> None:
        def answer(data: bytes) -> None:
            stream.later(0.1, urc)
            stream.later(0.5, b"\r\n+CSQ: 7,99\r\n" + OK)

        stream = Scripted(answer)
        modem = driver(kit, family, stream)
        socket = Collector()
        modem._sockets[0] = socket
        assert await modem.at.command("AT+CSQ", 1000) == ["+CSQ: 7,99"]
        assert socket.got == [NASTY]
        assert not socket.closed
        modem.at.stop()

    springs(scenario, AssertionError, "assert [] == ['+CSQ: 7,99']")


class Collector:
    """What a driver tells a socket."""

    def __init__(self) -> None:
        self.got: list[bytes | None] = []
        self.closed = False

    def on_data(self, data: bytes | None) -> None:
        self.got.append(None if data is None else bytes(data))

    def on_close(self) -> None:
        self.closed = True

    def fail(self, error: object) -> None:
        self.closed = True


def test_trap_the_prompt_has_no_line_end() -> None:
    """Rule 8: a parser of lines waits for ever for the line that `> ` begins."""

    async def scenario(kit: Kit) -> None:
        def answer(data: bytes) -> bytes:
            return b"\r\n> " if data.startswith(b"AT+QISEND") else OK + b"\r\nSEND OK\r\n"

        stream = Scripted(answer)
        at = kit.engine(stream)
        await at.command("AT+QISEND=0,5", 1000, until=("SEND OK", "OK"), data=b"hello")
        assert bytes(stream.written) == b"AT+QISEND=0,5\rhello"

    springs(scenario, AtTimeout, "AT+QISEND=0,5")


def test_trap_the_prompt_may_be_missing_after_sleep() -> None:
    """Rule 8, LilyGo-T-SIM7080G issue 48: what comes next is taken for the data."""

    async def scenario(kit: Kit) -> None:
        owed = 0

        def answer(data: bytes) -> bytes | None:
            nonlocal owed
            if owed:
                taken = min(owed, len(data))
                owed -= taken
                data = data[taken:]
            elif data.startswith(b"AT+CASEND"):
                owed = 40
                return None
            return OK if data.startswith(b"AT") else None

        at = kit.engine(Scripted(answer))
        with pytest.raises(AtTimeout, match="CASEND"):
            await at.command("AT+CASEND=0,40", 500, data=b"d" * 40)
        assert await at.command("AT+CSQ", 500) == []

    springs(scenario, AtTimeout, "AT+CSQ", Prompting)


async def carecv_by_driver(stream: Scripted) -> bytes:
    modem = driver(Real, "sim7080", stream)
    socket = Collector()
    modem._sockets[0] = socket
    await modem._pull(0)
    modem.at.stop()
    return b"".join(part or b"" for part in socket.got)


async def carecv_by_manual(stream: Scripted) -> bytes:
    lines = await naive_parser.LineAt(stream).command("AT+CARECV=0,1459", 500)
    number, data = naive_parser.carecv(lines[0])
    assert number == 0
    return data


def test_trap_carecv_has_no_socket_number_though_the_manual_says_so() -> None:
    """Rule 9 (noted in TinyGSM)."""
    read = {Real: carecv_by_driver, Naive: carecv_by_manual}

    async def scenario(kit: Kit) -> None:
        answers = [b"\r\n+CARECV: 5,hello\r\n" + OK, b"\r\n+CARECV: 0\r\n" + OK]
        assert await read[kit](Scripted(lambda data: answers.pop(0))) == b"hello"

    springs(scenario, ValueError, "not enough values to unpack")


def payload_length(header: str) -> int | None:
    values = replies.fields(header)
    return replies.whole(values[{1: 0, 4: 2}[len(values)]]) if len(values) in (1, 4) else None


async def read_by_length(stream: Scripted, command: str, prefix: str) -> bytes:
    got: list[bytes] = []
    at = Real.engine(stream)
    at.on_urc(prefix, lambda line, data: got.append(data or b""), payload_length)
    await at.command(command, 500)
    at.stop()
    return b"".join(bytes(part) for part in got)


async def read_line_below(stream: Scripted, command: str, prefix: str) -> bytes:
    lines = await naive_parser.LineAt(stream).command(command, 500)
    first = next(i for i, line in enumerate(lines) if line.startswith(prefix))
    return lines[first + 1].encode()


@pytest.mark.parametrize(
    ("command", "notice", "reply"),
    [
        ("AT+QIRD=0,1500", b"+QIRD: 0,7,1200", b"+QIRD: 5\r\nhello"),
        ("AT+CIPRXGET=2,0,1500", b"+CIPRXGET: 1,0", b"+CIPRXGET: 2,0,5,0\r\nhello"),
    ],
)
def test_trap_notice_and_read_response_share_a_prefix(
    command: str, notice: bytes, reply: bytes
) -> None:
    """Rule 10 (handled in esp_modem): the number of fields tells them apart."""
    prefix = notice[: notice.index(b" ") + 1].decode()
    read = {Real: read_by_length, Naive: read_line_below}

    async def scenario(kit: Kit) -> None:
        said = b"\r\n%s\r\n\r\n%s\r\n" % (notice, reply) + OK
        stream = answering({command.encode(): said})
        assert await read[kit](stream, command, prefix) == b"hello"

    springs(scenario, AssertionError, f"assert {reply.splitlines()[0]!r} == b'hello'")


async def ask_by_driver(stream: Scripted, command: str, prefix: str) -> str:
    modem = driver(Real, "bc660k", stream)
    line: str = await modem.line(command, prefix)
    modem.at.stop()
    return line


async def ask_by_manual(stream: Scripted, command: str, prefix: str) -> str:
    return (await naive_parser.LineAt(stream).command(command, 500, expect=prefix))[0]


def test_trap_firmware_refuses_what_the_manual_has() -> None:
    """Rule 11: AT+QTEMP is ERROR on BC660KGLAAR01A05."""
    ask = {Real: ask_by_driver, Naive: ask_by_manual}

    async def scenario(kit: Kit) -> None:
        stream = answering({b"AT+QTEMP": b"\r\nERROR\r\n"})
        assert await ask[kit](stream, "AT+QTEMP", "+QTEMP:") == ""

    springs(scenario, AtError, "AT+QTEMP")


def test_trap_an_answer_may_lack_its_value() -> None:
    """Rule 11: `+CGPADDR: 1` has no address, since the PDP context is number 0."""

    async def scenario(kit: Kit) -> None:
        reply = b"\r\n+CGPADDR: 1\r\n" + OK
        lines = await kit.engine(answering({b"AT+CGPADDR=1": reply})).command("AT+CGPADDR=1", 500)
        assert kit.address(lines[0]) is None

    springs(scenario, IndexError, "list index out of range")


def test_trap_the_context_is_not_always_number_one() -> None:
    """Rule 12: BC660K's default bearer is context 0, that of EC200 context 1."""

    def answer(data: bytes) -> bytes:
        if data.startswith(b"AT+QIOPEN="):
            return OK + (
                b"\r\n+QIOPEN: 0,0\r\n" if data[10:12] == b"0," else b"\r\n+QIOPEN: 0,561\r\n"
            )
        return OK

    async def scenario(kit: Kit) -> None:
        with engine_of(Real):
            modem = Bc660k(Scripted(answer))
        if kit is Naive:
            modem.CONTEXT = 1
        await modem.connect("127.0.0.1", 8883, 10_000)
        modem.at.stop()

    springs(scenario, SocketError, "QIOPEN result 561")


def test_the_naive_parser_works_on_a_quiet_bench() -> None:
    """It is no straw man: where no trap is, it passes."""

    async def main() -> None:
        at = naive_parser.PromptAt(
            answering({b"AT+CSQ": b"\r\n+CSQ: 7,99\r\n" + OK, b"AT+CASEND=0,2": b"\r\n> "})
        )
        seen: list[Any] = []
        at.on_urc("+IP:", lambda line, payload: seen.append(line))
        await at.sync(1)
        assert await at.command("AT+CSQ", 500) == ["+CSQ: 7,99"]
        await at.command("AT+CASEND=0,2", 500, data=b"hi")
        at._took(b"\r\n+IP: 10.0.0.1\r\n")
        assert seen == ["+IP: 10.0.0.1"]
        assert naive_parser.stat("+CEREG: 0,1") == 1
        at.stop()

    from modem_bench import jumping

    jumping(main)


def test_a_trap_that_does_not_spring_is_told() -> None:
    """Sabotage of the harness: a scenario without a trap passes with both."""

    async def scenario(kit: Kit) -> None:
        await asyncio.sleep(0)

    with pytest.raises(BaseException, match="DID NOT RAISE"):
        springs(scenario, AssertionError, "reason")
