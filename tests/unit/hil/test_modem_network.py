"""The network as a modem meets it: attach time, refusals, cells, detach, coverage."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from modem_bench import Bench, Echo
from twin_play import ask, attached, booted, play

from hil.virtual.modem import Stat
from hil.virtual.modem.scenario import Scenario
from hil.virtual.modem.timeline import Event

FAMILIES = ["bc660k", "ec200"]


async def until(bench: Bench, condition: Callable[[], bool], seconds: float = 3600) -> float:
    """Virtual time at which it holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.1)
    return float(bench.loop.time())


async def connected(bench: Bench, port: int) -> None:
    await ask(bench, "AT+QSCLK=0")
    if bench.twin.family.table.name == "ec200":
        await ask(bench, "AT+QIACT=1")
    context = bench.twin.family.table.context
    line = f'AT+QIOPEN={context},0,"TCP","localhost",{port},0,1'
    await ask(bench, line, b"+QIOPEN: 0,0\r\n")
    bench.heard.clear()


def test_registration_takes_the_networks_time() -> None:
    async def case(bench: Bench) -> None:
        came = await until(bench, lambda: bench.twin.network.registered)
        assert 60 <= came <= 60 + 10

    play("bc660k", case, attach_delay_s=(60, 60))


def test_signalling_with_repetitions_takes_longer_than_a_short_search() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        begin = bench.loop.time()
        assert await until(bench, lambda: bench.twin.network.registered) - begin > 15

    play("bc660k", case, attach_delay_s=(1, 1), scenario=Scenario(coupling_loss_db=164))


@pytest.mark.parametrize("family", FAMILIES)
def test_refusals_one_by_one_and_then_the_attach(family: str) -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        causes = []
        for _ in range(2):
            await until(bench, lambda: bench.twin.network.stat is Stat.DENIED)
            causes.append(bench.twin.network.cause)
            await ask(bench, "AT+CFUN=0")
            await ask(bench, "AT+CFUN=1")
        await until(bench, lambda: bench.twin.network.registered)
        assert causes == [15, 22]

    play(family, case, scenario=Scenario(refuse_first=(15, 22)))


def test_a_congested_network_is_tried_again_by_the_modem_after_t3402() -> None:
    async def case(bench: Bench) -> None:
        came = await until(bench, lambda: bench.twin.network.registered)
        assert 720 < came < 760

    play("bc660k", case, scenario=Scenario(refuse_first=(22,)))


def test_a_final_cause_stands_until_the_radio_was_off() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        await asyncio.sleep(7200)
        assert bench.twin.network.stat is Stat.DENIED
        assert b"+CEREG: 3,3,,,,0,8" in await wakeful(bench, "AT+CEREG=3", "AT+CEREG?")

    play("ec200", case, scenario=Scenario(refuse=8))


async def wakeful(bench: Bench, *lines: str) -> bytes:
    answer = b""
    for line in lines:
        answer = await ask(bench, line)
    return answer


@pytest.mark.parametrize("family", FAMILIES)
def test_a_detach_by_the_network_ends_the_sockets_and_is_told(family: str) -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            await connected(bench, echo.port)
            await ask(bench, "AT+CEREG=1")
            bench.twin.network.detach()
            await bench.until(b"\r\n+CEREG: 0\r\n")
            gone = b'"pdpdeact",1' if family == "ec200" else b'"closed",0'
            await bench.until(gone)
            assert bench.sockets == 0
            await bench.until(b"\r\n+CEREG: 1\r\n")
            assert bench.twin.network.attaches == 2

    play(family, case)


def test_another_cell_is_another_identity_and_an_update_of_the_area() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        await ask(bench, "AT+QSCLK=0")
        await ask(bench, "AT+CEREG=2")
        network = bench.twin.network
        places = []
        for _ in range(3):
            cell = network.cell
            assert cell is not None
            assert bench.twin.signal() is not None
            places.append((cell.tac, cell.ci))
            await asyncio.sleep(15)  # idle again
            accesses = bench.twin.air.accesses
            bench.heard.clear()
            network.change_cell()
            assert network.cell is None  # for a moment
            assert bench.twin.signal() is None
            await asyncio.sleep(30)
            assert network.registered
            assert bench.twin.air.accesses == accesses + 1
            now = network.cell
            assert now is not None
            urc = b'\r\n+CEREG: 1,"%04X","%08X",9\r\n' % (now.tac, now.ci)
            assert urc in bench.heard
        assert len({ci for _, ci in places}) == 3
        assert len({tac for tac, _ in places}) == 2

    play("bc660k", case)


def test_a_cell_changes_under_an_open_connection_and_it_lives_on() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            await connected(bench, echo.port)
            await ask(bench, "AT+QISEND=0,5", b"> ")
            bench.twin.network.change_cell()
            bench.write(b"hello")
            await bench.until(b"hello")
            assert bytes(echo.got) == b"hello"

    play("bc660k", case)


def test_without_coverage_it_searches_for_ever_and_comes_back() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        bench.twin.network.set_coverage(False)
        await asyncio.sleep(86_400)
        assert bench.twin.network.stat is Stat.SEARCHING
        assert bench.twin.network.cell is None
        bench.twin.network.set_coverage(True)
        await until(bench, lambda: bench.twin.network.registered, 60)

    play("bc660k", case)


def test_a_cell_that_is_too_weak_is_none() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        await asyncio.sleep(600)
        assert bench.twin.network.stat is Stat.SEARCHING
        assert b"99,99" in await ask(bench, "AT+CSQ")

    play("ec200", case, scenario=Scenario(coupling_loss_db=160))


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        (Event("detach", at_s=5, on="attach", for_s=50), "attaches"),
        (Event("coverage_lost", at_s=5, on="attach", for_s=50), "attaches"),
        (Event("restart", at_s=5, on="attach"), "boots"),
        (Event("brown_out", at_s=5, on="attach"), "boots"),
        (Event("shut_down", at_s=5, on="attach"), "off"),
        (Event("sleep", at_s=5, on="attach"), "sleeps"),
        (Event("mute", at_s=5, on="attach", for_s=10), "mute"),
        (Event("dead", at_s=5, on="attach"), "dead"),
        (Event("sim_removed", at_s=5, on="attach"), "sim"),
        (Event("refuse", at_s=0, on="power", cause=11, for_s=60), "refused"),
    ],
)
def test_what_a_timeline_does(event: Event, seen: str) -> None:
    async def case(bench: Bench) -> None:
        twin: Any = bench.twin
        await attached_or_denied(bench)
        states: set[str] = set()
        for _ in range(150):
            await asyncio.sleep(1)
            states |= {twin.state.name, twin.network.stat.name, twin.sim.state}
            states |= {name for name in ("hung", "mute") if getattr(twin, name)}
        assert twin.timeline.happened == [event.do]
        assert {
            "attaches": twin.network.attaches == 2 and twin.network.registered,
            "boots": twin.boots == 2 and twin.network.registered,
            "off": twin.state.name == "OFF",
            "sleeps": "ASLEEP" in states,
            "mute": "hung" in states and not twin.hung,
            "dead": twin.mute,
            "sim": twin.sim.state == "NOT INSERTED" and twin.network.stat is Stat.IDLE,
            "refused": "DENIED" in states,
        }[seen]

    play("ec200", case, scenario=Scenario(events=(event,)))


async def attached_or_denied(bench: Bench) -> None:
    await until(bench, lambda: bench.twin.network.stat in (Stat.HOME, Stat.DENIED))


def test_an_event_happens_as_often_as_it_says() -> None:
    async def case(bench: Bench) -> None:
        await asyncio.sleep(600)
        assert bench.twin.timeline.happened == ["detach"] * 3
        assert bench.twin.network.attaches == 4

    event = Event("detach", at_s=10, on="attach", for_s=5, times=3)
    play("ec200", case, scenario=Scenario(events=(event,)))


def test_what_a_power_cut_interrupts_still_ends() -> None:
    """The port forgets its timers with the power; the world around the modem does not."""

    async def case(bench: Bench) -> None:
        await until(bench, lambda: bench.twin.timeline.happened == ["coverage_lost"])
        for timer in bench.timers:
            timer.cancel()
        bench.twin.power_off()
        bench.twin.power_on()
        await asyncio.sleep(60)
        assert not bench.twin.network.registered
        await until(bench, lambda: bench.twin.network.registered, 300)

    event = Event("coverage_lost", at_s=5, on="attach", for_s=200)
    play("ec200", case, scenario=Scenario(events=(event,)))
