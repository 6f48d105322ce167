"""The Quectel twins' UDP, inline sends and names, in each family's form."""

import asyncio

import pytest
from modem_bench import Bench, Echo
from twin_play import ERROR, NASTY, OK, UdpEcho, UdpSink, ask, attached, play

FAMILIES = ["bc660k", "ec200"]


async def ready(bench: Bench) -> int:
    """The context that sockets use, active."""
    await attached(bench)
    context: int = bench.twin.family.table.context
    await ask(bench, "AT+QSCLK=0")
    if context:
        await ask(bench, f"AT+QIACT={context}")
    return context


async def opened(bench: Bench, kind: str, host: str, port: int) -> bytes:
    context = bench.twin.family.table.context
    line = f'AT+QIOPEN={context},0,"{kind}","{host}",{port},0,1'
    await ask(bench, line, b"\r\n+QIOPEN: 0,")
    return await bench.until(b"\r\n")


async def send(bench: Bench, line: str, data: bytes) -> None:
    assert await ask(bench, line, b"> ") == b"\r\n> "
    bench.write(data)
    await bench.until(b"\r\nSEND OK\r\n")


def urc(family: str, length: int, text: bytes, sender: bytes = b"") -> bytes:
    if family == "bc660k":
        return b'\r\n+QIURC: "recv",0,%d,%s%s\r\n' % (length, sender and sender + b",", text)
    return b'\r\n+QIURC: "recv",0,%d%s\r\n%s\r\n' % (length, sender and b"," + sender, text)


@pytest.mark.parametrize("family", FAMILIES)
def test_udp_with_a_peer(family: str) -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await ready(bench)
            assert await opened(bench, "UDP", "127.0.0.1", echo.port) == b"0\r\n"
            await send(bench, f"AT+QISEND=0,{len(NASTY)}", NASTY)
            await bench.until(urc(family, len(NASTY), NASTY))
            assert echo.got == [NASTY]
            await ask(bench, "AT+QICLOSE=0")

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_udp_service_names_its_peer_and_is_told_it(family: str) -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo, UdpEcho() as other:
            await ready(bench)
            assert await opened(bench, "UDP SERVICE", "127.0.0.1", 0) == b"0\r\n"
            for peer in (echo, other):
                line = f'AT+QISEND=0,5,"127.0.0.1",{peer.port}'
                if family == "bc660k":
                    line = f'AT+QISEND=0,"127.0.0.1",{peer.port},5'
                await send(bench, line, b"hello")
                sender = b'"127.0.0.1",%d' % peer.port
                await bench.until(urc(family, 5, b"hello", sender))
                assert peer.got == [b"hello"]

    play(family, case)


@pytest.mark.parametrize("kind", ["TCP", "UDP"])
def test_inline_sends_of_the_nbiot_family(kind: str) -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as tcp, UdpEcho() as udp:
            await ready(bench)
            await opened(bench, kind, "127.0.0.1", (tcp if kind == "TCP" else udp).port)
            answer = await ask(bench, 'AT+QISEND=0,5,"hello"', b"SEND OK\r\n")
            assert answer == OK + b"\r\nSEND OK\r\n"
            await bench.until(urc("bc660k", 5, b"hello"))
            await ask(bench, 'AT+QISEND=0,6,"hello"', ERROR)
            await ask(bench, 'AT+QISEND=0,5,"hello",3', ERROR)

    play("bc660k", case)


def test_a_cat1_family_has_no_inline_sends() -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await ready(bench)
            await opened(bench, "UDP", "127.0.0.1", echo.port)
            await ask(bench, 'AT+QISEND=0,5,"hello"', ERROR)

    play("ec200", case)


def test_hex_data_both_ways() -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await ready(bench)
            await opened(bench, "UDP", "127.0.0.1", echo.port)
            await ask(bench, 'AT+QICFG="dataformat",1,1')
            await ask(bench, f"AT+QISEND=0,{len(NASTY)},{NASTY.hex()}", b"SEND OK\r\n")
            await bench.until(urc("bc660k", len(NASTY), NASTY.hex().upper().encode()))
            await send(bench, "AT+QISEND=0,2", b"0D0A")
            await bench.until(urc("bc660k", 2, b"0D0A"))
            assert echo.got == [NASTY, b"\r\n"]
            await ask(bench, "AT+QISEND=0,2,zzzz", ERROR)

    play("bc660k", case)


@pytest.mark.parametrize(("mode", "released"), [(0, False), (1, True)])
def test_release_assistance_goes_with_inline_data(mode: int, released: bool) -> None:
    async def case(bench: Bench) -> None:
        async with UdpSink() as sink:
            await ready(bench)
            await asyncio.sleep(60)
            await opened(bench, "UDP", "127.0.0.1", sink.port)
            await ask(bench, f'AT+QISEND=0,5,"hello",{mode}', b"SEND OK\r\n")
            await asyncio.sleep(3)
            assert sink.got == [b"hello"]
            assert bench.twin.air.connected is not released

    play("bc660k", case)


@pytest.mark.parametrize("family", FAMILIES)
def test_names(family: str) -> None:
    async def case(bench: Bench) -> None:
        context = await ready(bench)
        await ask(bench, f'AT+QIDNSGIP={context},"broker.example"')
        if family == "bc660k":
            await bench.until(b"\r\n+QIDNSGIP: 127.0.0.1\r\n")
        else:
            await bench.until(b'\r\n+QIURC: "dnsgip",0,1,600\r\n')
            await bench.until(b'\r\n+QIURC: "dnsgip","127.0.0.1"\r\n')
        await ask(bench, f'AT+QIDNSGIP={context},"nobody.example"')
        failure = b"+QIDNSGIP: 565" if family == "bc660k" else b'+QIURC: "dnsgip",565'
        await bench.until(b"\r\n" + failure + b"\r\n")

    play(family, case, resolve={"broker.example": "127.0.0.1"})


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_sent_without_quotes_or_to_no_address(family: str) -> None:
    async def case(bench: Bench) -> None:
        context = await ready(bench)
        await ask(bench, f"AT+QIOPEN={context},0,UDP,127.0.0.1,7,0,1", ERROR)
        await ask(bench, f'AT+QIOPEN={context},0,"SCTP","127.0.0.1",7,0,1', ERROR)
        await opened(bench, "UDP SERVICE", "127.0.0.1", 0)
        await ask(bench, 'AT+QISEND=0,5,"nobody.example",7', ERROR)

    play(family, case)
