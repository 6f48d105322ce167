"""Each role on a virtual board with a real fleet: what its stimulus gave is what is stored."""

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fleet_here import FleetHere

from fleet.flashing.hardware import load_board
from fleet.paths import firmware_dir
from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.modem.surroundings import Heard
from hil.virtual.node import VirtualNode, mac_of
from hil.virtual.scenes import HOUR, SECOND, Scene
from hil.virtual.stimulus import Adc, Level, Pulse

START = 1_780_300_800 * SECOND  # 2026-06-01 08:00:00 UTC
GAS, LEVEL, LAMP_ON, LAMP_DIM, SUPPLY = 1, 2, 3, 4, 5
RSRP, ECL, OPERATOR, BAND = 101, 102, 105, 107
ONE_CONTACT = {k: v for k, v in load_board("esp32s3-bc660k").pins.items() if k != "pulse2"}


class Town:
    """A fleet and the nodes that a test adds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        free = ("--port", "0", "--broker-port", "0", "--coap-port", "0")
        self.fleet = FleetHere(folder / "fleet", *free)
        self.port = 0
        self.nodes: list[VirtualNode] = []

    async def open(self) -> None:
        await self.fleet.command("init")
        await self.fleet.command("area", "add", "440106", "Tianhe")
        self.port = (await self.fleet.start())["broker_port"]

    async def close(self) -> None:
        for node in self.nodes:
            await node.board.stop()
        await self.fleet.stop()

    async def node(self, scene: Scene, sources: Path | None = None, **config: Any) -> VirtualNode:
        number = len(self.nodes)
        mac = mac_of(f"{self.folder} {number}")
        node = VirtualNode(self.folder / f"n{number}", mac, scene, sources=sources)
        credentials = await enrol(self.fleet, node.node_id, scene.role, "440106")
        node.provision(credentials, "localhost", self.port, **config)
        self.nodes.append(node)
        return node

    def stored(self, node: VirtualNode, quantity: int) -> list[tuple[int, int, int]]:
        """(us, value, quality) in order of time."""
        path = self.fleet.data / "kapok.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return connection.execute(
                "SELECT time_us, value, quality FROM readings WHERE terminal_id = ?"
                " AND quantity = ? ORDER BY time_us, id",
                (node.node_id, quantity),
            ).fetchall()

    async def until(self, node: VirtualNode, what: Callable[[], bool], most_h: int = 400) -> None:
        """Run the node by ten virtual minutes at a time until `what` holds."""
        for _ in range(6 * most_h):
            if what():
                return
            await node.board.run_for(600 * SECOND)
        pytest.fail(f"not in {most_h} virtual hours; {node.board.console_tail[-300:]}")


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    town = Town(tmp_path)
    await town.open()
    try:
        yield town
    finally:
        await town.close()


def of(role: str, board: str, schedule: Any, **config: Any) -> Scene:
    scene = Scene(role, board, config, START + 300 * SECOND)
    scene._schedule = iter(schedule)
    return scene


async def test_a_gas_meter_counts_each_pulse_once_asleep_and_awake(town: Town) -> None:
    times = [START + 600 * SECOND + i * 37 * SECOND for i in range(300)]
    scene = of(
        "gas-meter", "esp32s3-bc660k", [(at, Pulse(4, 1_500_000)) for at in times],
        litres_per_pulse=10, report_s=3600,
    )  # fmt: skip
    node = await town.node(scene)
    end = times[-1] // HOUR * HOUR + 2 * HOUR
    await town.until(
        node, lambda: bool(town.stored(node, GAS)[-1:] and town.stored(node, GAS)[-1][0] >= end)
    )
    for at, value, quality in town.stored(node, GAS):
        assert value == 10 * sum(t < at for t in times), f"register frozen at {at}"
        assert quality == 0
    hours = [at for at, _, _ in town.stored(node, GAS)]
    assert hours == [hours[0] + i * HOUR for i in range(len(hours))], "an hour is missing or twice"


async def test_a_contact_left_closed_wakes_nobody(town: Town) -> None:
    closed = [(START + 900 * SECOND, Level(4, 1)), (START + 8 * HOUR, Level(4, 0))]
    again = [(START + 9 * HOUR, Pulse(4, 500_000))]
    node = await town.node(
        of("gas-meter", "esp32s3-bc660k", closed + again, report_s=3600), pins=ONE_CONTACT
    )
    await town.until(node, lambda: node.board.now_us > START + 11 * HOUR)
    # Each hour one for the freeze and one for the report.
    assert node.board.life.wakes <= 12 + 12
    await town.until(node, lambda: len(town.stored(node, GAS)) >= 10)
    assert [v for _, v, _ in town.stored(node, GAS)][-1] == 20


async def test_the_register_never_goes_back_through_a_power_cut(town: Town) -> None:
    times = [START + 600 * SECOND + i * 60 * SECOND for i in range(240)]
    scene = of(
        "gas-meter", "esp32s3-bc660k", [(at, Pulse(4, 500_000)) for at in times], report_s=3600
    )
    node = await town.node(scene)
    await town.until(
        node, lambda: node.board.now_us > START + int(2.5 * HOUR) and node.board.state == "asleep"
    )
    cut_at = node.board.now_us
    await node.board.power_cut()
    node.board.power_on()
    await town.until(node, lambda: len(town.stored(node, GAS)) >= 5)
    values = [v for _, v, _ in town.stored(node, GAS)]
    assert values == sorted(values)
    # What is lost are the pulses since the last commit, and one that fell into the cold start.
    await town.until(node, lambda: node.board.now_us > START + 9 * HOUR)
    unfrozen = sum(cut_at // HOUR * HOUR <= at < cut_at for at in times)
    missing = len(times) - town.stored(node, GAS)[-1][1] // 10
    assert 0 < missing <= unfrozen + 1


async def test_a_lamppost_follows_its_plan(town: Town) -> None:
    plan = ["10:00", 1000, "15:00", 500, "22:00", 0]
    scene = of(
        "lamppost", "esp32-ec200", [], sample_s=900, report_s=7200, lamp_plan=plan,
        utc_offset_s=0, longitude_udeg=0,
    )  # fmt: skip
    node = await town.node(scene)
    await town.until(node, lambda: len(town.stored(node, LAMP_DIM)) >= 60)
    for at, dim, _ in town.stored(node, LAMP_DIM):
        second = at // SECOND % 86400
        assert dim == (1000 if 36000 <= second < 54000 else 500 if 54000 <= second < 79200 else 0)
    on = [value for _, value, _ in town.stored(node, LAMP_ON)]
    assert on == [1 if dim else 0 for _, dim, _ in town.stored(node, LAMP_DIM)]
    assert not node.board.resets["watchdog"], "a mains node is bitten by its own watchdog"


async def test_the_button_makes_a_node_report_at_once(town: Town) -> None:
    levels = [(START + (600 + 60 * i) * SECOND, 1.0 + i / 100) for i in range(5)]
    scene = scenes.drainage(START + 300 * SECOND, levels)
    node = await town.node(scene, report_s=604_800, report_records=1000)
    # The first contact, of the cold start, had nothing to send: the rows wait in the journal.
    await town.until(node, lambda: node.board.now_us > START + HOUR)
    before = len(town.stored(node, LEVEL))
    node.board.press(6)
    await town.until(node, lambda: len(town.stored(node, LEVEL)) == 5)
    assert before < 5


async def test_a_data_ready_line_that_stays_high_is_one_call(town: Town) -> None:
    given = [(START + (600 + 600 * i) * SECOND, 1000 + i) for i in range(6)]
    scene = scenes.drainage(START + 300 * SECOND, [])
    scene._schedule = iter(
        (at, Adc(1, scenes.microvolts(mm, 10_000), wake_pin=5, wake_us=600_000))
        for at, mm in given
    )
    node = await town.node(scene)
    await town.until(node, lambda: len(town.stored(node, LEVEL)) >= len(given), 10)
    await node.board.run_for(HOUR)
    assert [round(value / 10) for _, value, _ in town.stored(node, LEVEL)] == [
        round(mm / 10) for _, mm in given
    ]


async def test_a_journal_that_cannot_be_trimmed_fails_the_contact_and_nothing_else(
    town: Town, tmp_path: Path
) -> None:
    sources = tmp_path / "firmware"
    shutil.copytree(firmware_dir(), sources)
    journal = sources / "node" / "store" / "journal.py"
    text = journal.read_text()
    trim = "        ledger = self._ledger\n        count = 0\n"
    assert text.count(trim) == 1
    journal.write_text(text.replace(trim, '        raise JournalError("no room")\n' + trim))
    levels = [(START + (600 + 60 * i) * SECOND, 1.0) for i in range(6)]
    node = await town.node(
        scenes.drainage(START + 300 * SECOND, levels), sources, report_records=3
    )
    await town.until(node, lambda: len(town.stored(node, LEVEL)) == 6, 20)
    await node.board.run_for(2 * HOUR)
    assert len(town.stored(node, LEVEL)) == 6  # sent again, stored once
    assert "Traceback" not in node.board.console_tail


async def test_a_mute_modem_costs_a_bounded_wake_and_no_record(town: Town) -> None:
    scene = scenes.drainage(
        START + 300 * SECOND, [(START + (600 + 3600 * i) * SECOND, 2.0) for i in range(30)]
    )
    node = await town.node(scene, awake_s=120)
    await town.until(node, lambda: node.board.now_us > START + 2 * HOUR)
    node.twin.mute = True
    await town.until(node, lambda: node.board.now_us > START + 20 * HOUR)
    assert not node.board.resets["watchdog"], "the wake ended by the watchdog, not by itself"
    node.twin.mute = False
    await town.until(node, lambda: len(town.stored(node, LEVEL)) == 30)


async def test_a_modem_that_goes_mute_amid_a_contact_does_not_wake_the_watchdog(
    town: Town,
) -> None:
    rows = [(START + (600 + 3600 * i) * SECOND, 2.0) for i in range(12)]
    node = await town.node(scenes.drainage(START + 300 * SECOND, rows), awake_s=120)
    node.board.power_on()
    await node.board.run_until(lambda: node.twin.up_bytes > 500)  # in the TLS handshake
    node.twin.mute = True
    await town.until(node, lambda: node.board.now_us > START + 12 * HOUR)
    assert not node.board.resets["watchdog"], "the wake ended by the watchdog, not by itself"
    node.twin.mute = False
    await town.until(node, lambda: len(town.stored(node, LEVEL)) == 12)


async def test_without_a_network_records_are_kept_and_marked_estimated(town: Town) -> None:
    scene = scenes.drainage(
        START + 300 * SECOND, [(START + (600 + 900 * i) * SECOND, 2.0) for i in range(5)]
    )
    node = await town.node(scene)
    node.twin.network.set_coverage(False)
    await town.until(node, lambda: node.board.now_us > START + 2 * HOUR)
    node.twin.network.set_coverage(True)
    await town.until(node, lambda: len(town.stored(node, LEVEL)) >= 5)
    assert {quality for _, _, quality in town.stored(node, LEVEL)} == {1}


async def test_an_unprovisioned_node_says_so_and_sleeps(tmp_path: Path) -> None:
    lines: list[str] = []
    scene = scenes.drainage(START, [])
    node = VirtualNode(tmp_path / "n", mac_of("bare"), scene, console=lines.append)
    try:
        await node.board.run_until(lambda: node.board.state == "asleep")
        assert "provision the node" in "\n".join(lines)
    finally:
        await node.board.stop()


async def test_a_drainage_node_on_the_c3_is_woken_by_its_sensor_and_by_its_button(
    town: Town,
) -> None:
    given = [(START + (600 + 600 * i) * SECOND, 1000 + 100 * i) for i in range(6)]
    # The C3's ADC ends at 2.5 V: the shunt has 120 ohm.
    low, high = 480_000, 2_400_000
    schedule = [
        (at, Adc(1, low + mm * (high - low) // 10_000, wake_pin=4, wake_us=600_000))
        for at, mm in given
    ]
    scene = of(
        "drainage", "esp32c3-bc95", schedule, sample_s=0, report_s=604_800, report_records=1000,
        full_scale=10_000, low_uv=low, high_uv=high, rise_mm_h=0,
    )  # fmt: skip
    node = await town.node(scene)
    await town.until(node, lambda: node.board.now_us > given[-1][0] + 600 * SECOND)
    assert len(given) <= node.board.life.wakes <= len(given) + 1  # one to begin with
    before = len(town.stored(node, LEVEL))
    assert before < len(given)
    node.board.press(5)
    await town.until(node, lambda: len(town.stored(node, LEVEL)) == len(given), 2)
    assert [round(value / 10) for _, value, _ in town.stored(node, LEVEL)] == [
        round(mm / 10) for _, mm in given
    ]
    assert not node.board.resets["watchdog"]
    assert not node.board.life.crashes


async def test_two_nodes_at_once_do_not_mix(town: Town) -> None:
    nodes = []
    for i in range(2):
        rows = [(START + (600 + 60 * k) * SECOND, 1.0 + i + k / 100) for k in range(12)]
        nodes.append(await town.node(scenes.drainage(START + 300 * SECOND, rows)))
    await asyncio.gather(
        *(town.until(node, lambda n=node: len(town.stored(n, LEVEL)) == 12) for node in nodes)  # type: ignore[misc]
    )
    for i, node in enumerate(nodes):
        assert all(
            1000 * (1 + i) <= value + 5 < 1000 * (2 + i)
            for _, value, _ in town.stored(node, LEVEL)
        )


async def test_a_survey_node_walks_operators_and_bands_and_reports_at_once(town: Town) -> None:
    scene = of(
        "survey", "esp32s3-bc660k", [], operators=[46011, 46001], bands=[5, 8], looks=2,
        survey_s=86_400, search_s=80, awake_s=600, report_s=604_800,
    )  # fmt: skip
    node = await town.node(scene)
    node.twin.surroundings.put(
        Heard("46011", 5, 128.0), Heard("46011", 8, 145.0), Heard("46001", 8, 135.0, refuse=11)
    )
    await town.until(node, lambda: len(town.stored(node, OPERATOR)) >= 7, 24)
    looks: dict[int, dict[int, int]] = {}
    for quantity in (OPERATOR, BAND, RSRP, ECL):
        for at, value, quality in town.stored(node, quantity):
            looks.setdefault(at, {})[quantity] = value
            assert quality == 0
    seen = [tuple(look.get(q) for q in (OPERATOR, BAND, RSRP, ECL)) for look in looks.values()]
    assert seen == [
        *[(46011, 5, -96, 0)] * 2, *[(46011, 8, -113, 1)] * 2,
        (46001, 5, None, None), *[(46001, 8, -103, 0)] * 2,
    ]  # fmt: skip
    assert node.board.life.crashes == 0
    assert node.board.life.resets["watchdog"] == 0
    assert (node.twin.surroundings.manual, node.twin.surroundings.bands) == ("", frozenset())
