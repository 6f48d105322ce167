"""A storm over a manhole, with a real fleet: the alarm comes within one report, all else too."""

import contextlib
import sqlite3
from pathlib import Path

from fleet_here import FleetHere

from hil import demo
from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.node import VirtualNode, mac_of
from hil.virtual.scenes import HOUR, SECOND
from hil.virtual.storm import Weather

START = 1_780_300_800 * SECOND
RAIN, RISE, HEAVY_RAIN, SAMPLING = 13, 1021, 1029, 56


async def test_a_storms_alarm_is_stored_within_one_report_and_no_sample_is_lost(
    tmp_path: Path,
) -> None:
    fleet = FleetHere(tmp_path / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "0")
    await fleet.command("init")
    await fleet.command("area", "add", "440106", "Tianhe")
    port = (await fleet.start())["broker_port"]
    node = VirtualNode(tmp_path / "manhole", mac_of("storm"), scenes.manhole(START, 1), haste=10)
    try:
        node.provision(await enrol(fleet, node.node_id, "drainage", "440106"), "localhost", port)
        database = fleet.data / "kapok.db"

        def stored(quantity: int) -> list[tuple[int, int]]:
            with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as c:
                return c.execute(
                    "SELECT time_us, value FROM readings WHERE terminal_id = ? AND quantity = ?"
                    " ORDER BY time_us",
                    (node.node_id, quantity),
                ).fetchall()

        for code in (HEAVY_RAIN, RISE):
            for _ in range(6 * 60):
                if stored(code):
                    break
                await node.board.run_for(60 * SECOND)
            ((began, value),) = stored(code)
            assert value == 1
            assert node.board.now_us - began <= 150 * SECOND, "its own contact brings it"
        assert [value for _, value in stored(SAMPLING)][:2] == [1, 2]
        # Until the sample that raised the alarm, all samples came with it.
        end = stored(RISE)[0][0] + SECOND
        await node.board.run_until(lambda: node.board.now_us > end + HOUR // 3, 60)
        node.scene.end(node.board.now_us)
        ended = {node.node_id: node.board.now_us}
        counts = demo.count(database, [node], ended)
        while counts.stored < counts.sensed:
            await node.board.run_for(600 * SECOND)
            counts = demo.count(database, [node], ended)
        assert counts.sensed == counts.stored > 7 * 30
        assert (counts.lost, counts.duplicated) == (0, 0)
        # Tips that fell while the node was asleep, booting or in a contact: each counts.
        at, tenths = stored(RAIN)[-1]
        until = min(at, ended[node.node_id])
        fallen = [when for when, _ in Weather(START, 1).tips(0) if when <= until]
        assert len(fallen) > 50
        assert abs(tenths // 2 - len(fallen)) <= 1  # one may fall into that very second
    finally:
        await node.board.stop()
        await fleet.stop()
