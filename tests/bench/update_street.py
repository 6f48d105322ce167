"""A street of virtual gas meters at three levels of coverage, whose fleet gives them a release:
the real firmware over modem twins, against a real `kapok serve`.
"""

import asyncio
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fleet_rig
import release_rig
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fleet_here import FleetHere
from release_rig import EXPIRY, METER
from sqlalchemy import select
from updates_rig import offer_again, roll_out

from fleet.db.base import Database
from fleet.flashing.hardware import load_board
from fleet.flashing.runtime import STOCK
from fleet.identity import hmac_keys, operations, oscore
from fleet.identity.authority import Authority
from fleet.identity.client import make_key_and_csr
from fleet.identity.wrapping import Wrapper, open_wrapper
from fleet.paths import firmware_dir
from fleet.registry.operations import add_node, now_us
from fleet.releases import intake, making, rescue, slots, store, trusting, workshop
from fleet.releases.bundle import Bundle
from fleet.rollouts import moves
from fleet.rollouts.states import COUNTED, MOST_ATTEMPTS, OPEN, SCHEDULED, Actor
from fleet.rollouts.tables import Update
from fleet.settings import load
from fleet.wire import cbor, release
from hil.virtual import firmware, scenes
from hil.virtual.board import FLASH_SIZE
from hil.virtual.modem.nbiot import NbIotLink
from hil.virtual.node import NAMESPACE, Credentials, VirtualNode, mac_of
from hil.virtual.shims._ops import CUT_MODES

AREA = "440106"
OLD, NEW = 41, 42
COVERAGE = (144.0, 154.0, 164.0)  # dB of coupling loss: levels 0, 1 and 2
AWAKE_S = 60
MQTT = 3  # this one, where coverage is good, has the other door, with a handshake in each wake
TLS_AWAKE_S = 120
LONGEST_S = 3 * 86_400  # virtual, of one node's update
STEP_S = 120.0  # real, between two sleeps of one node on a busy machine
_CUT_WITHIN = 400  # flash operations
_HEAD = 9  # bytes, firmware/node/store/rtcstate.py


class StreetError(RuntimeError):
    """A node did not do what the campaign is about; the text says which and where it was."""


@dataclass
class House:
    """One node, and what happened to it."""

    node: VirtualNode
    loss_db: float
    cuts: int = 0
    wakes: int = 0
    done: bool = False
    states: list[str] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)

    def look(self) -> None:
        """After a wake: how many bytes of the stream the node has, where that has changed."""
        raw = self.node.board.rtc.memory
        state: Any = cbor.decode(raw[_HEAD:]) if raw[:2] == b"KR" else {}
        mark = (state.get("upd") or [0, 0])[1]
        if mark and mark not in self.marks:
            self.marks.append(mark)

    @property
    def line(self) -> str:
        """For people."""
        node, loss = self.node.node_id, f"{self.loss_db:.0f} dB"
        marks = " ".join(str(mark) for mark in self.marks)
        return (
            f"{node}  {loss}  {'confirmed' if self.done else self.states[-1]:<10}"
            f"{self.wakes:>3} wakes {self.cuts:>2} power cuts  bytes after its wakes: {marks}"
        )


class Street:
    """`open` it, `deliver`, `close`. `seed` decides when power fails, and how; about `table` bytes
    have the delta.
    """

    longest_s = LONGEST_S
    runtime = STOCK  # its project's name

    def __init__(self, folder: Path, seed: int, table: int) -> None:
        self._table = table
        self._folder = folder
        self._random = random.Random(seed)
        self.fleet = FleetHere(
            folder / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "0"
        )
        self.houses: list[House] = []
        self.restarts = 0
        self.sizes: dict[str, int] = {}

    async def open(self, count: int) -> None:
        """Releases, nodes with OLD in slot a, and a fleet that serves."""
        await self.fleet.command("init")
        await self.fleet.command("area", "add", AREA, "Tianhe")
        settings = load(self.fleet.data)
        self._wrapper: Wrapper = open_wrapper(settings)
        self._authority = Authority.load(settings.pki)
        self.database = Database(settings.database_url)
        self._publish()
        ports = await self.fleet.start()
        port, broker = ports["coap_port"], ports["broker_port"]
        # From now on always the same, whatever becomes of the fleet.
        held = {"--coap-port": port, "--broker-port": broker}
        self.fleet.settings = tuple(
            str(held.get(before, word))
            for before, word in zip(("", *self.fleet.settings), self.fleet.settings, strict=False)
        )
        for place in range(count):
            self._add(place, *(("mqtt", broker) if place == MQTT else ("coap", port)))

    async def close(self) -> None:
        """Everything off."""
        for house in self.houses:
            await house.node.board.stop()
        self.database.close()
        await self.fleet.stop()

    def sources(self) -> Path:
        """What OLD is made of."""
        return firmware_dir()

    def versions(self) -> dict[int, Callable[[Path], None]]:
        """What is another in each release behind OLD, by its sequence."""
        return {NEW: lambda sources: another(sources, self._table)}

    def _publish(self) -> None:
        sources = self.sources()
        made = {OLD: _bundle(sources, OLD)}
        self._image = made[OLD].components[release.APPLICATION]
        for sequence, change in self.versions().items():
            changed = self._folder / f"changed {sequence}"
            shutil.copytree(sources, changed)
            change(changed)
            made[sequence] = _bundle(changed, sequence)
        with self.database.begin() as session:
            trusting.install(session, release_rig.keys().trust, "Li Wei", now_us())
        for each in made.values():
            with self.database.begin() as session:
                row = intake.add(session, each, "Li Wei", now_us())
                store.promote(session, row.sequence, "Li Wei", now_us())
        workshop.make_all(self.database)
        found = fleet_rig.query(
            self.fleet.data / "kapok.db",
            "SELECT length(patch), state FROM release_deltas WHERE sequence = ?",
            min(self.versions()),
        )
        (size, state) = found[0]
        if state != "ready":
            raise StreetError(f"the delta is {state}")
        image = made[min(self.versions())].components[release.APPLICATION]
        self.sizes = {"image": len(image), "delta": size}

    def _add(self, place: int, door: str, port: int) -> None:
        folder = self._folder / f"node{place}"
        folder.mkdir()
        scene = scenes.gas_meter(int(time.time()) * scenes.SECOND, place + 1)
        board = load_board(scene.board)
        flash = folder / "flash.bin"
        files = {**slots.supervisor_files(firmware_dir()), "/a.romfs": self._image}
        firmware.make_flash(
            flash, board.table, FLASH_SIZE, files, board.chip, project=self.runtime
        )
        rescued = rescue.build(firmware_dir(), slots.cache_dir() / "node")
        firmware.put_files(flash, board.table, "rescue", rescued)
        node = VirtualNode(folder, mac_of(f"street {place}"), scene, seed=place)
        loss_db = COVERAGE[place % len(COVERAGE)]
        node.twin.link = NbIotLink(loss_db)
        node.provision(
            self._credentials(node.node_id), "localhost", port, door=door,
            awake_s=AWAKE_S if door == "coap" else TLS_AWAKE_S, attach_s=50, report_s=3600,
            report_records=48, tau_s=86_400, active_s=0, ledger_s=0,
        )  # fmt: skip
        node.board.nvs.set_blob(NAMESPACE, trusting.NVS_KEY, release_rig.keys().trust)
        self.houses.append(House(node, loss_db))

    def _credentials(self, node_id: str) -> Credentials:
        key, request = make_key_and_csr(node_id)
        with self.database.begin() as session:
            add_node(session, node_id, "gas-meter", AREA)
            issued = operations.enrol(session, self._authority, request)
            context = oscore.new_context(session, self._wrapper, node_id)
            hmac = hmac_keys.next_key(session, self._wrapper, node_id)
            hmac_keys.promote(session, node_id)
        root = x509.load_pem_x509_certificate((self.fleet.data / "pki" / "root.crt").read_bytes())
        return Credentials(
            bytes(key), issued.der, root.public_bytes(Encoding.DER),
            cbor.encode([context.kid, bytes(context.secret)]), bytes(hmac),
        )  # fmt: skip

    # The campaign

    async def deliver(self, cut: Sequence[int] = (), cuts: int = 10) -> None:
        """All report what they run, are offered NEW, and go on until each has confirmed it; the
        houses `cut` lose power `cuts` times in between.
        """
        await asyncio.gather(*(self._until_heard(house) for house in self.houses))
        nodes = [house.node.node_id for house in self.houses]
        with self.database.begin() as session:
            roll_out(session, self._wrapper, nodes, NEW)
        works = [
            self._work(house, cuts if place in cut else 0)
            for place, house in enumerate(self.houses)
        ]
        await asyncio.gather(self._restart(), *works)

    async def _restart(self) -> None:
        """The fleet dies once, while nodes have parts of it."""
        while not any(house.marks for house in self.houses):  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.05)
        await self.fleet.kill()
        await self.fleet.start()
        self.restarts += 1

    async def _until_heard(self, house: House) -> None:
        node_id = house.node.node_id
        statement = "SELECT sequence FROM running WHERE node_id = ?"
        await self._until(house, lambda: bool(self._query(statement, node_id)))

    async def _work(self, house: House, cuts: int) -> None:
        node_id = house.node.node_id
        statement = "SELECT state FROM updates WHERE node_id = ?"

        def over() -> bool:
            ((state,),) = self._query(statement, node_id)
            if not house.states or house.states[-1] != state:
                house.states.append(str(state))
            if state in COUNTED:  # a rollout's tick does so
                self._again(node_id)
                return False
            return state not in OPEN

        while house.cuts < cuts and not over():
            await self._cut(house)
        await self._until(house, over)
        house.done = house.states[-1] == "succeeded"

    def _again(self, node_id: str) -> None:
        with self.database.begin() as session:
            rows = session.scalars(select(Update).where(Update.node_id == node_id)).all()
            ids = [row.id for row in rows if row.attempts < MOST_ATTEMPTS]
            moves.move(session, ids, SCHEDULED, Actor.FLEET, now_us(), "again")
            offer_again(session, self._wrapper, ids)

    async def _cut(self, house: House) -> None:
        """Power fails at some flash operation from now on, and comes back."""
        board = house.node.board
        board.cut_at_flash_operation(
            self._random.randrange(_CUT_WITHIN), self._random.choice(sorted(CUT_MODES))
        )
        await board.run_until(lambda: board.state == "off", STEP_S)
        house.cuts += 1
        house.look()
        board.power_on()

    async def _until(self, house: House, over: Callable[[], bool]) -> None:
        board = house.node.board
        end = board.now_us + self.longest_s * scenes.SECOND
        while not over():
            if board.now_us > end:
                raise StreetError(
                    f"{house.node.node_id} at {house.loss_db} dB is not done: {house.states}\n"
                    f"{board.console_tail[-600:]}"
                )
            before = board.life.sleeps
            await board.run_until(lambda n=before: board.life.sleeps > n, STEP_S)  # type: ignore[misc]
            house.wakes += 1
            house.look()

    def _query(self, statement: str, *arguments: object) -> "list[tuple[object, ...]]":
        return fleet_rig.query(self.fleet.data / "kapok.db", statement, *arguments)


def another(sources: Path, table: int) -> None:
    """The next version: a constant that changes nothing, and a table that nobody reads, so that
    the delta has more bytes than one wake at the edge of coverage brings.
    """
    cycle = sources / "node" / "cycle.py"
    text = cycle.read_text()
    cycle.write_text(text.replace("_SPARE_MS = const(3_000)", "_SPARE_MS = const(3_001)"))
    claim = sources / "node" / "claim.py"
    content = random.Random(1).randbytes(table)
    claim.write_text(f"{claim.read_text()}\n\nTABLE = {content!r}\n")


def _bundle(sources: Path, sequence: int) -> Bundle:
    order = making.Order(METER, sequence, EXPIRY)
    made = making.make(sources, slots.cache_dir() / "node", order)
    return release_rig.signed(made, release_rig.keys().release)
