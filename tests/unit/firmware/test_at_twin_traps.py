"""The traps that a modem twin must model: each is named by a test that a naive driver fails.

Each scenario runs against the BC660K's twin in jumping time, with the node's driver and with the
naive one, and says why the latter fails.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from at_stream import Scripted
from modem_bench import Bench, Echo, jumping
from naive_driver import KeepingNaiveModem, NaiveEc200, NaiveModem, WakingNaiveModem
from node.errors import AtError, AtTimeout, ModemMute, SocketError
from node.link.modems import open_modem
from node.link.registration import AttachRefused, AttachTimeout
from node.link.timers import decode_t3324, decode_t3412
from node.wire import receipt
from trap import Chunked, Kit, Naive, Prompting, Real, springs
from twin_play import UdpEcho

from hil.virtual.modem import ModemTwin, State
from hil.virtual.modem.faults import LineFaults
from hil.virtual.modem.saving import Grants
from hil.virtual.modem.scenario import Scenario
from hil.virtual.modem.timeline import Event

Play = Callable[[Any, Bench], Awaitable[None]]
HOST = "127.0.0.1"


def on_twin(
    play: Play, naive: type[NaiveModem] = NaiveModem, family: str = "bc660k", **options: Any
) -> Callable[[Kit], Any]:
    """A scenario: `play` with a driver, on the twin of a modem that has just got power."""

    async def scenario(kit: Kit) -> None:
        given = {"attach_delay_s": (1, 2), "chatter": 0.0, **options}
        bench = Bench(ModemTwin(family, seed=1, **given))
        bench.twin.power_on()
        modem = open_modem(family, bench) if kit is Real else naive(bench)
        try:
            await play(modem, bench)
        finally:
            modem.at.stop()
            bench.twin.power_off()

    return scenario


async def attached(modem: Any) -> None:
    await modem.wake()
    await modem.attach("", 180_000)


def test_the_naive_driver_works_on_a_quiet_bench() -> None:
    """It is no straw man: with nothing in the way both bring their bytes there and back."""

    async def play(modem: Any, bench: Bench) -> None:
        async with Echo() as echo:
            await attached(modem)
            socket = await modem.connect(HOST, echo.port, 60_000)
            await socket.send(b"hello")
            assert await asyncio.wait_for(socket.recv(5), 60) == b"hello"
            await socket.close()

    jumping(lambda: on_twin(play)(Real))
    jumping(lambda: on_twin(play)(Prompting))


def test_trap_sleep_swallows_the_first_at() -> None:
    """The first command wakes the modem and is lost."""

    async def play(modem: Any, bench: Bench) -> None:
        async with Echo() as echo:
            await attached(modem)
            await modem.sleep()
            await asyncio.sleep(120)
            assert bench.twin.state is State.ASLEEP
            await modem.wake()
            socket = await modem.connect(HOST, echo.port, 60_000)
            await socket.close()

    springs(on_twin(play), AtTimeout, "AT+QIOPEN=0,0")


def test_trap_rdy_and_boot_noise_come_before_the_first_answer() -> None:
    """What comes first is no sign that the modem listens, and no answer."""

    async def model(modem: Any) -> str:
        if isinstance(modem, NaiveModem):
            return await modem.model()
        found: str = (await modem.identity())["model"]
        return found

    async def play(modem: Any, bench: Bench) -> None:
        await modem.wake()
        assert await model(modem) == "BC660K-GL"

    springs(on_twin(play), AssertionError, "== 'BC660K-GL'")


@pytest.mark.parametrize("delay_s", [(20, 20), (60, 60), (120, 120)])
def test_trap_attach_takes_20_to_120_s(delay_s: tuple[int, int]) -> None:
    async def play(modem: Any, bench: Bench) -> None:
        await modem.wake()
        await modem.attach("", 180_000)
        assert bench.loop.time() >= delay_s[0]

    springs(on_twin(play, attach_delay_s=delay_s), AttachTimeout, "not attached in 10 s")


def test_trap_emm_reject_is_final() -> None:
    """Illegal UE (cause 3): to go on asking empties the battery, and the reason is lost."""

    async def play(modem: Any, bench: Bench) -> None:
        bench.twin.network.refuse(3)
        await modem.wake()
        with pytest.raises(AttachRefused) as caught:
            await modem.attach("", 600_000)
        assert caught.value.cause == 3
        assert bench.loop.time() < 60

    springs(on_twin(play), AttachTimeout, "not attached in 10 s")


def test_trap_granted_timers_differ_from_the_request() -> None:
    """T3412 and T3324 are the network's, in its own units."""

    async def play(modem: Any, bench: Bench) -> None:
        await attached(modem)
        asked = (36_000, 60)
        granted = await modem.power_saving(*asked)
        await asyncio.sleep(60)
        assert bench.twin.saving.psm_granted is not None
        tau, active = bench.twin.saving.psm_granted
        assert granted == (decode_t3412(tau), decode_t3324(active))
        assert granted != asked

    grants = Scenario(grants=Grants(tau_s=11_160, active_s=16))
    springs(on_twin(play, scenario=grants), AssertionError, "(36000, 60) == (")


def test_trap_deep_sleep_loses_sockets() -> None:
    """It stays registered, and knows nothing of the connection of before."""

    async def play(modem: Any, bench: Bench) -> None:
        async with Echo() as echo:
            await attached(modem)
            socket = await modem.connect(HOST, echo.port, 60_000)
            await modem.sleep()
            await asyncio.sleep(120)
            await modem.wake()
            try:
                await socket.send(b"again")
            except SocketError:
                socket = await modem.connect(HOST, echo.port, 60_000)
                await socket.send(b"again")
            assert await asyncio.wait_for(socket.recv(5), 60) == b"again"

    springs(on_twin(play, WakingNaiveModem), AtError, "AT+QISEND=0,5")


def test_trap_psm_is_entered_only_when_idle() -> None:
    """T3324 starts when the RRC connection ends: whoever keeps it alive never sleeps."""

    async def play(modem: Any, bench: Bench) -> None:
        async with Echo() as echo:
            await attached(modem)
            await modem.power_saving(36_000, 20)
            socket = await modem.connect(HOST, echo.port, 60_000)
            await socket.send(b"once")
            await modem.sleep()
            await asyncio.sleep(300)
            assert bench.twin.saving.in_psm, "not in PSM after 300 s"

    springs(on_twin(play, KeepingNaiveModem), AssertionError, "not in PSM after 300 s")


def test_trap_send_fail_means_later() -> None:
    """SEND FAIL ends a send as much as SEND OK does: the modem's buffer is full."""

    async def play(modem: Any, bench: Bench) -> None:
        async with Echo() as echo:
            await attached(modem)
            socket = await modem.connect(HOST, echo.port, 60_000)
            bench.twin.family.full_sends = 3
            await socket.send(b"in the end")
            assert await asyncio.wait_for(socket.recv(10), 60) == b"in the end"
            await socket.close()

    springs(on_twin(play), AtTimeout, "AT+QISEND=0,10")


@pytest.mark.parametrize(
    "line", [LineFaults(split=1), LineFaults(split=4), LineFaults(merge_ms=200)]
)
def test_trap_uart_chunks_are_partial_and_merged(line: LineFaults) -> None:
    """A read gives what has come, not what was said."""

    async def scenario(kit: Kit) -> None:
        bench = Bench(ModemTwin("bc660k", seed=1, chatter=0.0, scenario=Scenario(line=line)))
        bench.twin.power_on()
        await asyncio.sleep(8)
        at = kit.engine(bench)
        try:
            asyncio.get_running_loop().call_later(0.05, bench.twin.urc, "+CSCON: 1")
            assert "BC660K-GL" in await at.command("AT+CGMM", 1000)
        finally:
            at.stop()
            bench.twin.power_off()

    springs(scenario, (AtTimeout, AssertionError), "CGMM", Chunked)


def test_trap_another_baud_rate_gives_bytes_all_the_same() -> None:
    """Garbage is no sign of life, and the reason is that nobody understands."""

    async def play(modem: Any, bench: Bench) -> None:
        bench.baudrate = 115_200  # type: ignore[attr-defined]
        with pytest.raises(ModemMute):
            await attached(modem)
        assert bench.loop.time() < 40
        assert bench.twin.commands == 0

    slow = Scenario(line=LineFaults(baud=9_600))
    springs(on_twin(play, scenario=slow), RuntimeError, "not at its end")


def test_trap_the_first_at_may_only_teach_the_modem_the_baud_rate() -> None:
    """Autobaud: it is not answered."""

    async def scenario(kit: Kit) -> None:
        line = Scenario(line=LineFaults(autobaud=True))
        bench = Bench(ModemTwin("bc660k", seed=1, chatter=0.0, scenario=line))
        bench.twin.power_on()
        await asyncio.sleep(8)
        at = kit.engine(bench)
        try:
            await at.sync(5)
        finally:
            at.stop()
            bench.twin.power_off()

    springs(scenario, AtTimeout, "AT: not done in 500 ms", Prompting)


class Deaf(random.Random):
    """The draws of a host that is deaf from the 100th byte on."""

    def random(self) -> float:
        return 0.0

    def randrange(self, *_: Any) -> int:
        return 100

    def randint(self, _: int, most: int) -> int:
        return most


def test_trap_a_fifo_overrun_loses_bytes_in_the_middle() -> None:
    """115,200 baud bring 11.5 bytes a millisecond: a host that is deaf for 30 ms misses 217."""

    async def play(modem: Any, bench: Bench) -> None:
        async with Echo() as echo:
            await attached(modem)
            socket = await modem.connect(HOST, echo.port, 60_000)
            await socket.send(sent := bytes(65 + i % 26 for i in range(900)))
            bench.twin.wire._rng = Deaf()
            got = b""
            with contextlib.suppress(SocketError, TimeoutError):
                while part := await asyncio.wait_for(socket.recv(1024), 30):
                    got += part
            assert sent.startswith(got), "bytes are missing, and nobody says so"

    deaf = Scenario(line=LineFaults(deaf_chance=1.0, deaf_ms=30))
    reason = "bytes are missing, and nobody says so"
    springs(on_twin(play, scenario=deaf), AssertionError, reason)


def test_trap_urc_inside_the_prompt() -> None:
    """A `>` within a URC that comes just before the prompt is none."""

    async def scenario(kit: Kit) -> None:
        prompted = False
        early = bytearray()

        def prompt() -> None:
            nonlocal prompted
            prompted = True
            stream.push(b"\r\n> ")

        def answer(data: bytes) -> bytes | None:
            if data.startswith(b"AT+QISEND"):
                stream.later(0.005, b'\r\n+QIURC: "recv",1,5,a > b\r\n')
                asyncio.get_running_loop().call_later(0.02, prompt)
                return None
            if not prompted:
                early.extend(data)  # the modem does not listen yet
                return None
            return b"\r\nOK\r\n\r\nSEND OK\r\n"

        stream = Scripted(answer)
        modem = open_modem("bc660k", stream)
        at = modem.at if kit is Real else kit.engine(stream)
        try:
            await at.command("AT+QISEND=0,4", 1000, until=("SEND OK",), data=b"data")
        finally:
            at.stop()
            modem.at.stop()
        assert not early

    springs(scenario, AtTimeout, "AT+QISEND=0,4", Prompting)


def test_trap_urcs_come_between_a_command_and_its_prompt_on_the_twin() -> None:
    """The twin says something before each reply and prompt; nothing is lost."""

    async def main() -> None:
        bench = Bench(ModemTwin("bc660k", seed=3, chatter=1.0, attach_delay_s=(1, 2)))
        bench.twin.power_on()
        modem = open_modem("bc660k", bench)
        async with Echo() as echo:
            await attached(modem)
            socket = await modem.connect(HOST, echo.port, 60_000)
            data = b"\r\nOK\r\n> " * 300
            await socket.send(data)
            got = b""
            while len(got) < len(data):
                got += await asyncio.wait_for(socket.recv(1024), 60)
            assert got == data
            await socket.close()
        modem.at.stop()
        bench.twin.power_off()

    jumping(main)


async def question(socket: Any) -> bytes:
    await socket.send(b"x" * 100)
    answer: bytes = await asyncio.wait_for(socket.recv(100), 300)
    return answer


def test_trap_brown_out_at_full_transmit_power() -> None:
    """A weak battery holds until the radio sends with 23 dBm; then the modem starts anew."""

    async def play(modem: Any, bench: Bench) -> None:
        async with Echo() as echo:
            await attached(modem)
            socket = await modem.connect(HOST, echo.port, 60_000)
            with pytest.raises(SocketError):
                await question(socket)
        assert bench.twin.brown_outs == 1

    weak = Scenario(coupling_loss_db=150.0, events=(Event("brown_out", 0.2, on="send"),))
    springs(on_twin(play, scenario=weak), TimeoutError, "")


def test_trap_the_network_takes_the_pdp_context_away() -> None:
    """The URC is all that is said of it: the socket is gone."""

    async def play(modem: Any, bench: Bench) -> None:
        async with Echo() as echo:
            await attached(modem)
            socket = await modem.connect(HOST, echo.port, 60_000)
            bench.twin.deactivate()
            with pytest.raises(SocketError):
                await asyncio.wait_for(socket.recv(1), 60)

    springs(on_twin(play, NaiveEc200, "ec200"), TimeoutError, "")


def newest(answer: bytes, whole: bytes) -> bool:
    """What the naive one makes of a datagram: it answers what was sent last."""
    return True


def test_trap_a_duplicate_downlink_answers_nothing_new() -> None:
    """The network may deliver a datagram twice: what it says tells which report it answers."""
    answers = {Real: receipt.covers, Naive: newest}
    judged: list[Any] = [None]

    async def play(modem: Any, bench: Bench) -> None:
        delivered = []
        async with Twice() as fleet:
            await attached(modem)
            peer = await modem.datagram(HOST, fleet.port, 60_000)
            for sequence in (1, 2):
                await peer.send(whole := receipt.encode(7, [(sequence, sequence)]))
                with contextlib.suppress(TimeoutError):
                    while True:
                        answer = await asyncio.wait_for(peer.recv(), 60)
                        if judged[0](answer, whole):
                            delivered.append(sequence)
                            break
        assert delivered == [1], "the second report never arrived"

    async def scenario(kit: Kit) -> None:
        judged[0] = answers[kit]
        await on_twin(play)(kit)

    springs(scenario, AssertionError, "the second report never arrived")


class Twice(UdpEcho):
    """A fleet whose receipt for the first report comes twice, the second time late."""

    def datagram_received(self, data: bytes, addr: Any) -> None:
        answer = receipt.encode(7, [(1, 1)])
        if len(self.got) == 0:
            self.transport.sendto(answer, addr)
        self.got.append(data)
        if len(self.got) == 2:
            self.transport.sendto(answer, addr)


def test_trap_sms_interleaves_with_a_reply() -> None:
    """A message that comes in says so in the middle of an answer."""

    async def play(modem: Any, bench: Bench) -> None:
        await attached(modem)
        on_bytes = bench.twin.on_bytes

        def interleaving(data: bytes) -> None:
            bench.twin.urc('+CMTI: "ME",3')
            on_bytes(data)

        bench.twin.on_bytes = interleaving  # type: ignore[method-assign]
        if isinstance(modem, NaiveModem):
            model = await modem.model()
        else:
            model = (await modem.identity())["model"]
        assert model == "BC660K-GL"

    springs(on_twin(play), AssertionError, "'+CMTI: \"ME\",3' == 'BC660K-GL'")


def test_trap_the_clock_is_wrong_until_the_network_has_told_the_time() -> None:
    """Before NITZ a modem counts from 1980 or 2000, and says so without a blush."""

    async def play(modem: Any, bench: Bench) -> None:
        await modem.wake()
        await asyncio.sleep(0.1)
        assert await modem.network_time() is None
        await modem.attach("", 180_000)
        assert abs(await modem.network_time() - bench.now() // 1_000_000) <= 1

    springs(on_twin(play, attach_delay_s=(30, 30)), AssertionError, "is None")
