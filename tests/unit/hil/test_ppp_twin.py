"""The EC200's twin dials: ATD, CONNECT and PPP, `+++`, ATO, ATH, and every way to NO CARRIER."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modem_bench import Echo, jumping
from ppp_rig import Host, Rig, Tcp

from hil.virtual.modem import State, escape


def on_a_rig(script: Callable[[Rig], Any], **options: Any) -> None:
    """Run `script(rig)` in virtual time."""

    async def main() -> None:
        await asyncio.wait_for(script(await Rig(**options).start()), 3_600)

    jumping(main)


@pytest.mark.parametrize("text", ["ATD*99#", "ATD*99***1#", "atd*99#"])
def test_dialling_connects_and_ppp_brings_ip_up(text: str) -> None:
    async def script(rig: Rig) -> None:
        await rig.ask(text, b"CONNECT 150000000\r\n")
        rig.bench._pending.clear()
        host = Host(rig.bench)
        host.start()
        await asyncio.wait_for(host.up.wait(), 3)
        assert rig.twin.state is State.DATA
        assert rig.twin.family.address == ".".join(str(n) for n in host.ipcp.mine)
        assert rig.ip is not None
        assert rig.ip.up
        assert rig.ip.calls == 1

    on_a_rig(script)


def test_the_module_begins_by_itself_when_the_host_is_silent() -> None:
    async def script(rig: Rig) -> None:
        await rig.ask("ATD*99#", b"CONNECT 150000000\r\n")
        await rig.bench.until(b"~\xff}#\xc0!", 1)

    on_a_rig(script)


def test_without_a_network_there_is_no_call() -> None:
    async def script(rig: Rig) -> None:
        rig.twin.set_radio(False)
        assert b"+CME ERROR: 30" in await rig.ask("ATD*99#", b"+CME ERROR: 30\r\n")
        await rig.ask("AT+CMEE=0")
        await rig.ask("ATD*99#", b"ERROR\r\n")
        assert rig.twin.state is State.COMMAND

    on_a_rig(script)


def test_without_a_context_or_with_an_exhausted_plan_there_is_no_call() -> None:
    async def script(rig: Rig) -> None:
        await rig.ask("AT+CGDCONT=1")
        await rig.ask("ATD*99#", b"+CME ERROR: 3\r\n")
        await rig.ask('AT+CGDCONT=1,"IP",""')
        rig.twin.sim.left = 0
        await rig.ask("ATD*99#", b"+CME ERROR: 148\r\n")
        await rig.ask("ATD123;", b"ERROR\r\n")

    on_a_rig(script)


def test_the_host_ends_the_link_and_the_modem_takes_commands_again() -> None:
    async def script(rig: Rig) -> None:
        host = await rig.dial()
        host.close()
        await rig.bench.until(b"\r\nNO CARRIER\r\n", 1)
        assert host.over.is_set()
        host.stop()
        await rig.ask("AT")
        await rig.ask("ATO", b"NO CARRIER\r\n")
        await rig.ask("ATH")

    on_a_rig(script)


@pytest.mark.parametrize("how", ["detach", "coverage", "context", "plan"])
def test_no_carrier_when_the_network_goes(how: str) -> None:
    async def script(rig: Rig) -> None:
        host = await rig.dial()
        if how == "detach":
            rig.twin.network.detach()
        elif how == "coverage":
            rig.twin.network.set_coverage(False)
        elif how == "context":
            rig.twin.deactivate()
        else:
            rig.twin.sim.left = 0
            rig.twin.deactivate()
        await rig.bench.until(b"\r\nNO CARRIER\r\n", 10)
        assert not host.up.is_set()
        await asyncio.sleep(5)
        assert host.over.is_set()
        host.stop()
        await rig.ask("AT")

    on_a_rig(script)


def test_a_host_that_is_gone_does_not_hold_up_no_carrier() -> None:
    async def script(rig: Rig) -> None:
        host = await rig.dial()
        host.stop()
        rig.twin.network.detach()
        await rig.bench.until(b"\r\nNO CARRIER\r\n", 7)

    on_a_rig(script)


def test_escape_suspends_the_call_and_ato_goes_on_with_it() -> None:
    async def script(rig: Rig) -> None:
        host = await rig.dial()
        await asyncio.sleep(1.1)
        rig.bench.write(b"+++")
        await rig.bench.until(b"\r\nOK\r\n", 1.2)
        assert rig.twin.state is State.COMMAND
        assert rig.ip is not None
        assert not rig.ip.up
        await rig.ask("AT+CSQ")
        await rig.ask("ATD*99#", b"+CME ERROR: 3\r\n")
        await rig.ask("ATO", b"CONNECT 150000000\r\n")
        assert rig.ip.up
        host.lcp.echo()
        await asyncio.sleep(1)
        assert host.lcp.echoes == 1
        assert host.up.is_set()

    on_a_rig(script)


def test_escape_and_ath_end_the_call_without_a_word_to_the_host() -> None:
    async def script(rig: Rig) -> None:
        host = await rig.dial()
        host.stop()
        await asyncio.sleep(1.1)
        rig.bench.write(b"+")
        rig.bench.write(b"++")
        await rig.bench.until(b"\r\nOK\r\n", 1.2)
        await rig.ask("ATH")
        assert rig.ip is not None
        assert not rig.ip.active
        await rig.ask("ATO", b"NO CARRIER\r\n")
        assert (await rig.dial()).up.is_set()

    on_a_rig(script)


async def without_silence(rig: Rig, before_s: float, text: bytes, behind_s: float) -> State:
    """What the modem is in after `text` with data around it."""
    host = await rig.dial()
    host.stop()
    rig.bench.write(b"~data~")
    await asyncio.sleep(before_s)
    rig.bench.write(text)
    await asyncio.sleep(behind_s)
    rig.bench.write(b"~data~")
    await asyncio.sleep(3)
    return rig.twin.state


@pytest.mark.parametrize(
    ("before_s", "text", "behind_s"),
    [(0.9, b"+++", 2), (2, b"+++", 0.9), (2, b"++++", 2), (2, b"++", 2), (2, b"a+++", 2)],
)
def test_escape_without_its_silences_is_data(
    before_s: float, text: bytes, behind_s: float
) -> None:
    async def script(rig: Rig) -> None:
        assert await without_silence(rig, before_s, text, behind_s) is State.DATA

    on_a_rig(script)


def test_sabotage_without_the_guard_data_end_the_data_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def script(rig: Rig) -> None:
        assert await without_silence(rig, 0.9, b"+++", 0.9) is State.COMMAND

    monkeypatch.setattr(escape, "GUARD_US", 0)
    on_a_rig(script)


def test_commands_are_data_while_online_and_nobody_hears_urcs() -> None:
    async def script(rig: Rig) -> None:
        await rig.ask("AT+CEREG=2")
        host = await rig.dial()
        rig.bench.heard.clear()
        rig.bench.write(b"AT\rAT+CSQ\r")
        rig.twin.network.change_cell()
        await asyncio.sleep(10)
        assert b"OK" not in rig.bench.heard
        assert b"+CEREG" not in rig.bench.heard
        assert host.up.is_set()

    on_a_rig(script)


@pytest.mark.parametrize("how", ["reset", "power"])
def test_a_restart_ends_the_call_without_a_word(how: str) -> None:
    async def script(rig: Rig) -> None:
        host = await rig.dial()
        if how == "reset":
            rig.twin.pin("reset", 1)
            rig.twin.pin("reset", 0)
        else:
            rig.twin.power_off()
            rig.twin.power_on()
        host.stop()
        assert rig.ip is not None
        assert not rig.ip.active
        await asyncio.sleep(20)
        assert rig.twin.state is State.COMMAND
        assert b"NO CARRIER" not in rig.bench.heard

    on_a_rig(script)


def test_tcp_goes_beside_the_link_and_takes_the_uarts_time() -> None:
    async def script(rig: Rig) -> None:
        async with Echo() as echo:
            host = await rig.dial()
            assert rig.ip is not None
            tcp = Tcp()
            carrier = rig.ip.connect("127.0.0.1", echo.port, tcp.events)
            await asyncio.wait_for(tcp.opened.wait(), 5)
            data = bytes(range(256)) * 100
            began, mark = rig.bench.now(), rig.twin.ledger.mark()
            left = data
            while left:
                taken = carrier.send(left)
                left = left[taken:]
                if left:
                    tcp.room.clear()
                    await asyncio.wait_for(tcp.room.wait(), 30)
            await asyncio.wait_for(tcp.wait(len(data)), 30)
            assert tcp.got == data
            assert rig.bench.now() - began > 1_000 * len(data) / 11.52  # bytes a millisecond
            used = rig.twin.ledger.since(mark)
            assert used.up_octets > len(data)
            assert used.down_octets > len(data)
            assert used.mj_by_state["tx"] > 0
            host.close()
            await asyncio.wait_for(tcp.over.wait(), 5)
            assert tcp.errno == 103
            host.stop()

    on_a_rig(script)


def test_a_reader_that_does_not_read_holds_its_peer_back() -> None:
    async def script(rig: Rig) -> None:
        async with Echo() as echo:
            await rig.dial()
            assert rig.ip is not None
            tcp = Tcp()
            carrier = rig.ip.connect("127.0.0.1", echo.port, tcp.events)
            await asyncio.wait_for(tcp.opened.wait(), 5)
            carrier.hold_back()
            assert carrier.send(bytes(5_000)) == 5_000
            await asyncio.sleep(20)
            assert len(tcp.got) <= 2 * 1_360
            carrier.go_on()
            await asyncio.sleep(20)
            assert len(tcp.got) == 5_000

    on_a_rig(script)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80), st.sampled_from([b"+++", b"~", b"ATH\r", b"\xff\x03\xc0\x21"])
        ),
        max_size=12,
    ),
    st.lists(st.floats(0, 2), min_size=12, max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_taken_in_data_mode(pieces: list[bytes], pauses: list[float]) -> None:
    async def script(rig: Rig) -> None:
        host = await rig.dial()
        host.stop()
        for piece, pause in zip(pieces, pauses, strict=False):
            rig.bench.write(piece)
            await asyncio.sleep(pause)
        assert rig.ip is not None
        rig.twin.network.detach()
        await asyncio.sleep(10)
        assert not rig.ip.active
        await asyncio.sleep(30)
        rig.bench.heard.clear()
        rig.bench.write(b"\r")
        await rig.ask("AT")

    on_a_rig(script)
