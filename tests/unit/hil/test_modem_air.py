"""The air between modem and host: delay, loss, release, paging, who can be reached, brown-out."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from modem_bench import Bench, Echo, jumping
from twin_play import UdpEcho, ask, attached, play
from virtual_port import Port

from hil.virtual.modem import ModemTwin, Stat
from hil.virtual.modem.air import Air, AirHooks, AirOptions
from hil.virtual.modem.delays import STEP_US
from hil.virtual.modem.energy import Ledger, load
from hil.virtual.modem.hosts import Hosts, Unresolved
from hil.virtual.modem.nbiot import NbIotLink
from hil.virtual.modem.radio import Link
from hil.virtual.modem.scenario import Scenario
from hil.virtual.modem.sim import SimOptions
from hil.virtual.modem.supply import Supply, SupplyOptions

FAMILIES = ["bc660k", "ec200"]


class Rig:
    """An Air alone; `reachable` is how long it takes to page, None for never."""

    def __init__(self, loss_db: float = 130, supply_ohms: float = 0.0, **options: Any) -> None:
        self.port = Port()
        self.link: Link | None = NbIotLink(loss_db)
        self.reachable: float | None = 1.0
        self.brown_outs = 0
        self.octets = 0
        power = load("bc660k")
        self.ledger = Ledger(power, self.port.now)
        self.ledger.base("idle")
        hooks = AirHooks(
            cell=lambda: self.link,
            bearer=lambda: self.link,
            reachable_us=self._reachable_us,
            accessed=lambda: None,
            moved=lambda: None,
            spent=self._spend,
            brown_out=self._brown_out,
        )
        supply = Supply(SupplyOptions(ohms=supply_ohms), power.volts, power.minimum_volts)
        rng = random.Random(1)
        self.air = Air(self.port, rng, self.ledger, supply, AirOptions(**options), hooks)

    def up(self, octets: int = 78, release: int = 0) -> Callable[[], float | None]:
        """Send a packet; call what comes back for the seconds until it arrived, None for not."""
        begin, arrived = self.port.seconds, []
        self.air.up(octets, lambda: arrived.append(self.port.seconds - begin), release)
        return lambda: arrived[0] if arrived else None

    def down(self, octets: int = 78) -> Callable[[], float | None]:
        begin, arrived = self.port.seconds, []
        self.air.down(octets, lambda: arrived.append(self.port.seconds - begin))
        return lambda: arrived[0] if arrived else None

    def connected_s(self) -> float:
        """How long the connection goes on."""
        return max(0.0, (self.air.idle_at_us - self.port.now()) / 1e6)

    def _reachable_us(self) -> int | None:
        return None if self.reachable is None else self.port.now() + int(self.reachable * 1e6)

    def _spend(self, octets: int) -> None:
        self.octets += octets

    def _brown_out(self) -> None:
        self.brown_outs += 1
        self.air.reset()


def test_the_deeper_the_later_a_packet_arrives() -> None:
    times = []
    for loss_db in (122, 144, 154, 164):
        rig = Rig(loss_db)
        arrived = rig.up()
        rig.port.run(60)
        times.append(arrived() or 0)
    assert times == sorted(times)
    assert 0.1 < times[0] < 0.6
    assert 3 < times[-1] < 12


def test_a_connected_modem_needs_no_random_access() -> None:
    rig = Rig(154)
    first: list[float] = []
    second: list[float] = []
    for _ in range(20):
        for times in (first, second):
            arrived = rig.up()
            rig.port.run(5)
            times.append(arrived() or 99)
        rig.port.run(60)
    assert rig.air.accesses == 20
    assert sum(second) < sum(first)


def test_packets_behind_each_other_keep_their_order_and_the_radio() -> None:
    rig = Rig(154)
    order: list[int] = []
    for n in range(5):
        rig.air.up(500, lambda n=n: order.append(n))  # type: ignore[misc]
    rig.port.run(1)
    assert len(order) < 5  # half duplex, a few kbit/s
    rig.port.run(30)
    assert order == [0, 1, 2, 3, 4]


def test_release_assistance_ends_the_connection_with_the_packet() -> None:
    lasting = {}
    for release in (0, 1, 2):
        rig = Rig(144, inactivity_s=20)
        rig.up(release=release)
        lasting[release] = rig.connected_s()
    assert lasting[1] < 1
    assert lasting[0] > 20
    assert lasting[2] > 20  # an answer is expected, and it waits for it
    rig.port.run(0.5)
    rig.down()
    rig.port.run(0.5)
    assert rig.connected_s() < 1  # which has come


def test_what_comes_down_behind_a_release_has_to_be_paged() -> None:
    rig = Rig(144, inactivity_s=20)
    rig.up(release=1)
    arrived = rig.down()
    rig.port.run(60)
    assert (arrived() or 0) > 1.0
    assert rig.air.accesses == 2


def test_the_tail_costs_more_than_the_report_and_release_saves_it() -> None:
    used = {}
    for release in (0, 1):
        rig = Rig(144, inactivity_s=20)
        mark = rig.ledger.mark()
        rig.up(release=release)
        rig.port.run(30)
        used[release] = rig.ledger.since(mark)
    # Beyond the release both idle; its energy is the base's.
    idle_mj = 30 * load("bc660k").ma["idle"] * load("bc660k").volts
    assert used[0].mj - used[1].mj > 3 * max(1.0, used[1].mj - idle_mj)
    assert used[1].seconds["connected"] < 1
    assert used[0].seconds["connected"] > 19


def test_a_sleeping_modem_gets_what_tcp_repeats_and_loses_datagrams() -> None:
    rig = Rig()
    rig.reachable = None  # power saving mode
    datagram = rig.down()
    kept: list[float] = []
    rig.air.down_surely(78, lambda: kept.append(rig.port.seconds))
    rig.port.run(3600)
    assert not kept
    rig.up()  # it has something to send itself
    rig.port.run(60)
    assert kept
    assert datagram() is None


def test_loss_takes_datagrams_and_delays_tcp() -> None:
    rig = Rig(loss=0.5)
    gone = came = 0
    failed: list[int] = []
    for _ in range(200):
        arrived = rig.up()
        stream: list[float] = []
        rig.air.up_surely(78, lambda s=stream: s.append(1.0), lambda: failed.append(1))  # type: ignore[misc]
        rig.port.run(300)
        gone += arrived() is None
        came += len(stream)
    assert 70 < gone < 130
    assert came + len(failed) == 200
    assert len(failed) < 10  # seven times in a row


def test_without_a_cell_nothing_is_sent_and_tcp_gives_up() -> None:
    rig = Rig()
    rig.link = None
    arrived = rig.up()
    failed: list[float] = []
    rig.air.up_surely(78, lambda: None, lambda: failed.append(rig.port.seconds))
    rig.port.run(300)
    assert arrived() is None
    assert 60 < failed[0] < 200
    assert rig.octets == 0


def test_time_may_jump_along_everything_that_is_on_the_air() -> None:
    """A board jumps to a twin's events up to a second ahead while real sockets are open."""
    rig = Rig(164, loss=0.3)
    for _ in range(10):
        rig.air.up_surely(1000, lambda: None, lambda: None)
        rig.down(1000)
    rig.port.run(600)
    assert rig.port.longest_us <= STEP_US


def test_no_timer_is_left_when_nothing_is_on_the_air() -> None:
    rig = Rig(144)
    rig.up()
    rig.port.run(2)
    assert rig.air.connected
    assert rig.port.queue.head() is None


@pytest.mark.parametrize(("ohms", "breaks"), [(0.0, False), (1.0, False), (6.0, True)])
def test_a_weak_supply_breaks_down_while_the_radio_sends(ohms: float, breaks: bool) -> None:
    rig = Rig(154, supply_ohms=ohms)
    arrived = rig.up()
    rig.port.run(60)
    assert rig.brown_outs == (1 if breaks else 0)
    assert (arrived() is None) == breaks


def test_near_the_base_station_less_power_keeps_the_supply_up() -> None:
    near, far = Rig(110, supply_ohms=6.0), Rig(144, supply_ohms=6.0)
    for rig in (near, far):
        rig.up()
        rig.port.run(10)
    assert (near.brown_outs, far.brown_outs) == (0, 1)


def test_hosts_are_on_loopback_and_a_whitelist_is_by_address() -> None:
    hosts = Hosts({"fleet.example": "127.0.0.2", "*": "127.0.0.1"}, ("fleet.example",))
    assert hosts.address("Fleet.Example") == "127.0.0.2"
    assert hosts.address("192.0.2.1") is None
    assert hosts.lets_through("fleet.example", "127.0.0.2")
    assert hosts.lets_through("127.0.0.2", "127.0.0.2")  # resolved by the host itself
    assert not hosts.lets_through("other.example", "127.0.0.1")
    with pytest.raises(Unresolved):
        Hosts({}, None).address("nobody.example")
    with pytest.raises(ValueError, match=r"192\.0\.2\.1 is not a loopback address"):
        Hosts({"x": "192.0.2.1"}, None)


# -- through a whole twin ------------------------------------------------------------------------


async def udp_open(bench: Bench, port: int, host: str = "127.0.0.1") -> None:
    context = bench.twin.family.table.context
    await ask(bench, "AT+QSCLK=0")
    if bench.twin.family.table.name == "ec200":
        await ask(bench, "AT+QIACT=1")
    line = f'AT+QIOPEN={context},0,"UDP","{host}",{port},0,1'
    await ask(bench, line, b"+QIOPEN: 0,0\r\n")


async def udp_send(bench: Bench, data: bytes) -> None:
    await ask(bench, f"AT+QISEND=0,{len(data)}", b"> ")
    bench.write(data)
    await bench.until(b"SEND OK\r\n")


@pytest.mark.parametrize("family", FAMILIES)
def test_udp_goes_out_and_comes_back(family: str) -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await attached(bench)
            await udp_open(bench, echo.port)
            begin = bench.loop.time()
            await udp_send(bench, b"fifty bytes\r\nOK\r\n> ")
            await bench.until(b"fifty bytes\r\nOK\r\n> ")
            assert bench.loop.time() - begin > 0.05
            assert echo.got == [b"fifty bytes\r\nOK\r\n> "]
            (socket,) = bench.twin.datagrams
            assert (socket.up, socket.down) == (19, 19)

    play(family, case)


@pytest.mark.parametrize(
    ("whitelist", "reached"), [(("127.0.0.1",), True), (("other.example",), False)]
)
def test_udp_to_a_host_that_is_not_on_the_whitelist_vanishes(
    whitelist: tuple[str, ...], reached: bool
) -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await attached(bench)
            await udp_open(bench, echo.port)
            await udp_send(bench, b"hello")
            await asyncio.sleep(30)
            assert bool(echo.got) == reached
            assert (b"hello" in bench.heard) == reached
            assert bench.twin.ledger.mark().up_octets >= 28 + 5  # it was sent all the same

    play("bc660k", case, scenario=Scenario(sim=SimOptions(whitelist=whitelist)))


def test_tcp_to_a_host_that_is_not_on_the_whitelist_is_never_answered() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            await ask(bench, "AT+QSCLK=0")
            begin = bench.loop.time()
            line = f'AT+QIOPEN=0,0,"TCP","localhost",{echo.port},0,1'
            await ask(bench, line, b"+QIOPEN: 0,566\r\n", 90)
            assert bench.loop.time() - begin > 60
            assert not echo.writers

    play("bc660k", case, scenario=Scenario(sim=SimOptions(whitelist=("other.example",))))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plan_that_ends_takes_the_data_connection_away(family: str) -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await attached(bench)
            await udp_open(bench, echo.port)
            for _ in range(20):
                if bench.twin.sim.exhausted:
                    break
                await udp_send(bench, bytes(100))
                await asyncio.sleep(5)
            assert bench.twin.sim.exhausted
            assert bench.twin.network.registered
            gone = b'"pdpdeact",1' if family == "ec200" else b'"closed",0'
            assert gone in bench.heard
            assert len(echo.got) <= 10
            assert bench.sockets == 0

    play(family, case, scenario=Scenario(sim=SimOptions(plan_bytes=1200)))


def test_tcp_arrives_whole_through_a_lossy_deep_cell() -> None:
    data = random.Random(3).randbytes(6000)

    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            line = f'AT+QIOPEN=0,0,"TCP","localhost",{echo.port},0,1'
            await ask(bench, line, b"+QIOPEN: 0,0\r\n", 200)
            for at in range(0, len(data), 1000):
                await udp_send(bench, data[at : at + 1000])
            async with asyncio.timeout(3000):
                while bench.twin.down_bytes < len(data):  # noqa: ASYNC110 - virtual time
                    await asyncio.sleep(1)
            assert bytes(echo.got) == data
            assert bench.twin.air.lost > 0

    deep = Scenario(coupling_loss_db=158, air=AirOptions(loss=0.1))
    play("bc660k", case, scenario=deep)


def test_a_brown_out_restarts_the_modem_within_its_attach() -> None:
    async def main() -> None:
        weak = Scenario(coupling_loss_db=150, supply=SupplyOptions(ohms=6.0))
        twin = ModemTwin("bc660k", seed=1, scenario=weak, attach_delay_s=(10, 10))
        bench = Bench(twin)
        twin.power_on()
        await asyncio.sleep(120)
        assert twin.brown_outs > 3
        assert twin.boots == twin.brown_outs + 1
        assert twin.network.stat is not Stat.HOME
        assert bench.heard.count(b"RDY") >= twin.brown_outs
        twin.power_off()

    jumping(main)


def history(seed: int, scenario: Scenario) -> list[Any]:
    """Everything that a contact's driver saw, and when, and what it cost."""
    seen: list[Any] = []

    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await attached(bench)
            await udp_open(bench, echo.port)
            for n in range(6):
                await udp_send(bench, bytes(50 * n + 1))
                await asyncio.sleep(20)
            seen.extend(bench.due_us)
            seen.append(bytes(bench.heard))
            seen.append(round(bench.twin.ledger.mark().mj, 9))

    play("bc660k", case, seed=seed, scenario=scenario, chatter=0.3)
    return seen


def test_the_same_seed_gives_the_same_run() -> None:
    scenario = Scenario(coupling_loss_db=158, air=AirOptions(loss=0.3))
    first, again, other = (history(seed, scenario) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert history(1, replace(scenario, air=AirOptions(loss=0.0))) != first
