"""A whole node takes a release of three components from a whole fleet: a configuration pack,
firmware that its modem fetches by itself, and an application, whose blocks come by HTTPS.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import release_rig
from release_rig import EXPIRY, METER
from updates_rig import roll_out

from fleet.flashing.hardware import load_board
from fleet.paths import firmware_dir
from fleet.registry.operations import now_us
from fleet.releases import intake, making, slots, store, trusting
from fleet.wire import cbor, release
from hil.virtual import firmware, scenes
from hil.virtual.board import FLASH_SIZE
from hil.virtual.modem.fota import package
from hil.virtual.modem.nbiot import NbIotLink
from hil.virtual.node import NAMESPACE, VirtualNode, mac_of
from tests.bench.update_street import NEW, OLD, House, Street

VERSION = "BC660KGLAAR01A06"
ENDS_S = 20.0


class Corner(Street):
    """One meter, whose door is MQTT."""

    async def open(self, count: int) -> None:
        await super().open(0)
        self.addresses = json.loads((self.fleet.data / "run.json").read_text())
        for place in range(count):
            self._add(place, "mqtt", self.addresses["broker_port"])

    def _publish(self) -> None:
        firmware_of_modem = self._folder / "modem.bin"
        old_version = "BC660KGLAAR01A05"
        firmware_of_modem.write_bytes(package("bc660k", old_version, VERSION, 20_000))
        pack = self._folder / "pack.json"
        pack.write_text(json.dumps({"report_s": 3000}))
        more: dict[str, Any] = {"pack": pack, "modem": (firmware_of_modem, VERSION)}
        orders = [making.Order(METER, OLD, EXPIRY), making.Order(METER, NEW, EXPIRY, **more)]
        with self.database.begin() as session:
            trusting.install(session, release_rig.keys().trust, "Li Wei", now_us())
        for order in orders:
            made = making.make(firmware_dir(), slots.cache_dir() / "node", order)
            made = release_rig.signed(made, release_rig.keys().release)
            with self.database.begin() as session:
                row = intake.add(session, made, "Li Wei", now_us())
                store.promote(session, row.sequence, "Li Wei", now_us())
            if order.sequence == OLD:
                self._image = made.components[release.APPLICATION]

    def _add(self, place: int, door: str, port: int) -> None:
        folder = self._folder / f"node{place}"
        folder.mkdir()
        scene = scenes.gas_meter(int(time.time()) * scenes.SECOND, place + 1)
        board = load_board(scene.board)
        files = {**slots.supervisor_files(firmware_dir()), "/a.romfs": self._image}
        firmware.make_flash(folder / "flash.bin", board.table, FLASH_SIZE, files, board.chip)
        node = VirtualNode(folder, mac_of(f"corner {place}"), scene, seed=place)
        node.twin.link = NbIotLink(130.0)
        node.provision(
            self._credentials(node.node_id), "localhost", port, door=door, awake_s=300,
            attach_s=120, report_s=3600, report_records=48, ledger_s=0, fota=self.files,
            updates=self.addresses["updates_port"],
        )  # fmt: skip
        node.board.nvs.set_blob(NAMESPACE, trusting.NVS_KEY, release_rig.keys().trust)
        self.houses.append(House(node, 130.0))

    async def serve_files(self) -> None:
        """`kapok modem-files`; `files` is where."""
        self._server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fleet", "--data", str(self.fleet.data), "modem-files",
            "--port", "0", "--json", stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._server.stdout is not None
        self.files = json.loads(await self._server.stdout.readline())["fota"]

    async def close(self) -> None:
        await super().close()
        if self._server.returncode is None:
            self._server.terminate()
        await asyncio.wait_for(self._server.wait(), ENDS_S)


async def test_one_release_brings_a_pack_a_modems_firmware_and_an_application(
    tmp_path: Path,
) -> None:
    corner = Corner(tmp_path, 1, 0)
    await corner.fleet.command("init")
    await corner.serve_files()
    try:
        await corner.open(1)
        (house,) = corner.houses
        twin, nvs = house.node.twin, house.node.board.nvs
        await corner._until_heard(house)
        with corner.database.begin() as session:
            roll_out(session, corner._wrapper, [house.node.node_id], NEW)
        await corner._work(house, 0)
        assert house.done, house.states
        configured = nvs.get(NAMESPACE, "cfg")
        assert isinstance(configured, bytes)
        assert cbor.decode(configured)["report_s"] == 3000  # type: ignore[index]
        assert twin.fota.version == VERSION
        assert (twin.fota.begun, twin.fota.written, twin.fota.interrupted) == (1, 1, 0)
        peers = {each.port for each in twin.connections}
        assert corner.addresses["updates_port"] in peers, "blocks came by HTTPS"
        assert not house.node.board.life.crashes
    finally:
        await corner.close()
