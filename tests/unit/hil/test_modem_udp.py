"""What befalls datagrams between modem and host: loss, two copies, delay past their successors."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from contact import State, driver
from modem_bench import Bench, Echo, jumping
from twin_play import UdpEcho
from udp_contact import PINS, contact, gather
from virtual_port import Port

from hil.standalone import summary
from hil.virtual.modem import ModemTwin
from hil.virtual.modem.airhooks import AirOptions
from hil.virtual.modem.families import FAMILIES
from hil.virtual.modem.journeys import Journeys
from hil.virtual.modem.nat import NatOptions
from hil.virtual.modem.scenario import Scenario, TableError, load, shipped


def numbered(count: int) -> list[bytes]:
    return [random.Random(n).randbytes(20 + n) for n in range(count)]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_datagrams_come_twice_and_late_both_ways_and_each_is_whole(family: str) -> None:
    sent = numbered(30)

    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
        for data in sent:
            await socket.send(data)
            await asyncio.sleep(2)
        got = await gather(socket, 60)
        air = bench.twin.air
        assert air.journeys.duplicated > 5
        assert air.journeys.delayed > 5
        assert air.lost == 0
        assert set(echo.got) == set(sent) == set(got)
        assert len(echo.got) > len(sent)  # some came twice
        assert len(got) == len(sent) + air.journeys.duplicated  # and some answers on top
        assert [data for n, data in enumerate(echo.got) if data not in echo.got[:n]] != sent

    mixed = AirOptions(duplicate=0.2, reorder=0.2)
    contact(family, case, Scenario(air=mixed, nat=NatOptions(timeout_s=600)))


@pytest.mark.parametrize("family", ["bc660k", "bc95"])
def test_tcp_repairs_all_of_it(family: str) -> None:
    data = random.Random(1).randbytes(3000)

    async def main() -> None:
        async with Echo() as echo:
            worst = AirOptions(loss=0.1, duplicate=1.0, reorder=1.0)
            twin = ModemTwin(family, seed=1, scenario=Scenario(air=worst), attach_delay_s=(1, 1))
            bench = Bench(twin)
            twin.power_on()
            modem = driver(family, bench, PINS)
            await modem.wake(State())
            await modem.attach("", 180_000)
            socket = await modem.connect("127.0.0.1", echo.port, 75_000)
            await socket.send(data)
            got = b""
            async with asyncio.timeout(600):
                while len(got) < len(data):
                    got += await socket.recv(512)
            assert got == data == bytes(echo.got)
            assert twin.air.lost > 0
            assert (twin.air.journeys.duplicated, twin.air.journeys.delayed) == (0, 0)
            await modem.sleep()
            twin.power_off()

    jumping(main)


def test_chances_are_what_they_are_told_to_be() -> None:
    options = AirOptions(loss=0.3, duplicate=0.1, reorder=0.2, late_s=(1, 5))
    journeys = Journeys(random.Random(1), options)
    copies = [journeys.copies() for _ in range(5000)]
    assert sum(journeys.lost() for _ in range(5000)) == pytest.approx(1500, rel=0.1)
    assert journeys.duplicated == sum(len(c) == 2 for c in copies) == pytest.approx(500, rel=0.2)
    assert journeys.delayed == sum(c[0] > 0 for c in copies) == pytest.approx(1000, rel=0.1)
    assert all(c[0] == 0 or 1_000_000 <= c[0] <= 5_000_000 for c in copies)


def test_what_cannot_happen_changes_nobodys_luck() -> None:
    rng = random.Random(1)
    journeys = Journeys(rng, AirOptions())
    assert not journeys.lost()
    assert journeys.copies() == [0]
    assert rng.random() == random.Random(1).random()


def test_the_same_seed_befalls_the_same_datagrams() -> None:
    def run(seed: int) -> list[Any]:
        seen: list[Any] = []

        async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
            socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
            for n in range(10):
                await socket.send(bytes([n] * 10))
                await asyncio.sleep(5)
            seen.extend(await gather(socket, 60))
            seen.extend(echo.got)
            seen.append(round(bench.twin.ledger.mark().mj, 6))

        mixed = AirOptions(loss=0.2, duplicate=0.3, reorder=0.3)
        contact("bc660k", case, Scenario(air=mixed), seed=seed)
        return seen

    first = run(1)
    assert first == run(1)
    assert first != run(2)


@pytest.mark.parametrize("family", ["bc660k", "bc95", "sim7080"])
def test_release_assistance_ends_the_connection_with_the_answer(family: str) -> None:
    """A piggybacked answer is the only packet down: the radio is idle as soon as it has come."""

    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        air, ledger = bench.twin.air, bench.twin.ledger
        socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
        await asyncio.sleep(60)
        mark = ledger.mark()
        await socket.send(bytes(47), 2)
        assert air.idle_at_us - bench.now() > 19_000_000  # it waits for the answer
        await asyncio.wait_for(socket.recv(), 30)
        await asyncio.sleep(1)
        assert not air.connected
        used = ledger.since(mark)
        assert (used.up_octets, used.down_octets) == (28 + 47, 28 + 47)

    contact(family, case, Scenario(coupling_loss_db=144, air=AirOptions(inactivity_s=20)))


def test_a_second_copy_behind_the_release_has_to_be_paged_and_costs_again() -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
        await asyncio.sleep(60)
        accesses, mark = bench.twin.air.accesses, bench.twin.ledger.mark()
        await socket.send(bytes(20), 2)
        assert await gather(socket, 60) == [bytes(20)] * 4  # two up, and two of each answer
        assert bench.twin.air.accesses > accesses + 1
        assert bench.twin.ledger.since(mark).down_octets == 4 * 48

    twice = AirOptions(duplicate=1.0, late_s=(20, 20), inactivity_s=5)
    contact("bc660k", case, Scenario(air=twice))


def test_the_last_datagram_goes_out_though_its_socket_is_closed_behind_it() -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
        await socket.send(b"the last word", 1)
        await socket.close()
        await asyncio.sleep(10)
        assert echo.got == [b"the last word"]

    contact("bc660k", case, Scenario())


def test_time_does_not_jump_along_a_datagram_that_is_late() -> None:
    """A board jumps to timers within a second: somebody real may be answering another datagram."""

    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
        await asyncio.sleep(30)
        begun = len(bench.timers)
        await socket.send(b"late", 1)
        await asyncio.sleep(16)
        assert echo.got == [b"late"]
        assert len(bench.timers) - begun < 16

    late = AirOptions(reorder=1.0, late_s=(14, 14))
    contact("bc660k", case, Scenario(air=late))


# -- files and counters --------------------------------------------------------------------------


def test_a_scenario_file_says_it(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(
        "[radio]\nloss = 0.3\n[udp]\nduplicate = 0.1\nreorder = 0.25\nlate_s = [1, 30]\n"
        "nat_timeout_s = 45\nnat_addresses = 3\n"
    )
    scenario = load(path)
    assert scenario.air == AirOptions(loss=0.3, duplicate=0.1, reorder=0.25, late_s=(1, 30))
    assert scenario.nat == NatOptions(timeout_s=45, addresses=3)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("udp = 3", "udp: must be a table"),
        ("[udp]\nduplicate = 1.5", "udp.duplicate: must be within 0 and 1"),
        ("[udp]\nreorder = 'often'", "udp.reorder: must be a number"),
        ("[udp]\nlate_s = [9, 1]", "udp.late_s: must rise, within 0 and 3600"),
        ("[udp]\nnat_timeout_s = -1", "udp.nat_timeout_s: must be within 0 and 86400"),
        ("[udp]\nnat_addresses = 0", "udp.nat_addresses: must be within 1 and 250"),
        ("[udp]\nloss = 0.1", "udp.loss: there is no such key"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(TableError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: {complaint}")


def test_there_is_a_scenario_of_each() -> None:
    ours = {path.stem: load(path) for path in shipped()}
    assert ours["lossy"].air.loss > 0
    assert ours["udp-twice"].air.duplicate > 0
    assert ours["udp-late"].air.reorder > 0
    assert ours["nat-short"].nat.timeout_s < NatOptions.timeout_s
    worst = ours["udp-bad"]
    assert min(worst.air.loss, worst.air.duplicate, worst.air.reorder) > 0


def test_a_twin_on_its_own_sums_up_what_befell_packets() -> None:
    twin = ModemTwin("bc660k", seed=1)
    twin.attach(Port())
    nobody: Any = _Silent()
    assert "packets" not in summary.line(summary.of_modem(twin, nobody))
    twin.air.lost, twin.bridge.nat.rebound = 3, 1
    told = summary.of_modem(twin, nobody)
    assert told["packets"] == {
        "lost": 3, "duplicated": 0, "delayed": 0, "rebound": 1, "stale": 0
    }  # fmt: skip
    assert "(packets: 3 lost, 1 rebound)" in summary.line(told)


class _Silent:
    """A Standalone that nobody spoke to."""

    heard = said = lost = 0
