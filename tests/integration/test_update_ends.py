"""Whole nodes of a whole fleet whose new version is no good, or whose flash is not: each ends on a
version that works, and the fleet knows why, without a person.
"""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import release_rig
from littlefs import LittleFS, LittleFSError
from release_rig import EXPIRY, METER
from updates_rig import roll_out

from fleet.flashing import partitions
from fleet.flashing.runtime import HARDENED
from fleet.paths import firmware_dir
from fleet.registry.operations import now_us
from fleet.releases import intake, making, slots, store
from hil.virtual import runtime_image
from hil.virtual.modem.nbiot import NbIotLink
from hil.virtual.scenes import SECOND
from tests.bench.update_street import NEW, OLD, House, Street

CRASHES, BROKEN, DEAF = NEW + 1, NEW + 2, NEW + 3
HOUR = 3600 * SECOND
FILES_LOST = "5"  # of firmware/node/errors.py, under status key 6


def changed(name: str, old: str, new: str) -> Callable[[Path], None]:
    """A change of one file of the firmware."""

    def change(sources: Path) -> None:
        path = sources / "node" / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


RUN = "        self._sensed = self._talked = False\n"
OPEN = '        """Wake the modem and attach; LinkError says why not."""\n'


class Told(Street):
    """What a fleet offers to one node, and what it hears."""

    async def offered(self, house: House, sequence: int) -> None:
        """The node has reported, and the release is offered to it."""
        await self._until_heard(house)
        with self.database.begin() as session:
            assert roll_out(
                session, self._wrapper, [house.node.node_id], sequence, f"{house.node.node_id}"
            )

    async def ends(self, house: House, state: str) -> str:
        """Until the fleet says so of its update; the reason there."""
        statement = "SELECT state, reason FROM updates WHERE node_id = ?"
        await self._until(house, lambda: self._query(statement, house.node.node_id)[0][0] == state)
        return str(self._query(statement, house.node.node_id)[0][1])

    def runs(self, house: House) -> object:
        """The release that the node last told of."""
        ((sequence,),) = self._query(
            "SELECT sequence FROM running WHERE node_id = ?", house.node.node_id
        )
        return sequence


class Ends(Told):
    """Versions that crash, cannot be imported and reach nobody, beside one that is good."""

    bad = True

    def versions(self) -> dict[int, Callable[[Path], None]]:
        if not self.bad:
            return super().versions()
        return {
            **super().versions(),
            CRASHES: changed("cycle.py", RUN, RUN + "        raise RuntimeError\n"),
            BROKEN: changed("cycle.py", "\nclass Cycle", "\nraise ImportError\n\n\nclass Cycle"),
            DEAF: changed("link/session.py", OPEN, OPEN + "        raise LinkError\n"),
        }


@pytest.fixture
async def street(tmp_path: Path) -> Ends:
    return Ends(tmp_path, seed=5, table=200)


async def test_what_is_no_good_goes_back_and_the_fleet_knows_why(street: Ends) -> None:
    try:
        await street.open(4)
        crashes, broken, deaf, night = street.houses
        for house in street.houses:
            house.node.twin.link = NbIotLink(144.0)

        async def goes_back(house: House, sequence: int) -> str:
            await street.offered(house, sequence)
            return await street.ends(house, "rolled-back")

        async def one_night(house: House) -> None:
            await street.offered(house, NEW)
            board = house.node.board
            await board.run_until(lambda: board.life.resets["hard"] > 0, 300)
            house.node.twin.network.set_coverage(False)
            end = board.now_us + 14 * HOUR
            await street._until(house, lambda: board.now_us > end)
            assert b"trial" in _slot(house)
            house.node.twin.network.set_coverage(True)
            await street.ends(house, "succeeded")

        first, second, third, _ = await asyncio.gather(
            goes_back(crashes, CRASHES),
            goes_back(broken, BROKEN),
            goes_back(deaf, DEAF),
            one_night(night),
        )
        print(first, second, third)
        assert [street.runs(house) for house in street.houses] == [OLD, OLD, OLD, NEW]
        assert "crash" in first
        assert "import" in second
        assert "confirm" in third
    finally:
        await street.close()


async def test_a_destroyed_superblock_ends_in_a_reinstalled_node(street: Ends) -> None:
    try:
        street.runtime, street.bad = HARDENED, False
        await street.open(1)
        (house,) = street.houses
        await street._until_heard(house)
        await house.node.board.power_cut()
        row = partitions.find(house.node.board.table, "vfs")
        with house.node.board.flash_path.open("r+b") as file:
            file.seek(row.offset)
            file.write(b"\x5a" * 8192)
        house.node.board.power_on()
        await street._until(house, lambda: _error(street, house) == FILES_LOST)
        await street.offered(house, NEW)
        await street.ends(house, "succeeded")
        assert street.runs(house) == NEW
        assert _slot(house) == b"a - good"
    finally:
        await street.close()


class Runtimes(Told):
    """A runtime that is good, and one that crashes at its start; the application of OLD sleeps on
    whatever runtime it runs, since its guard is gone.
    """

    def sources(self) -> Path:
        copy = self._folder / "sleeps"
        shutil.copytree(firmware_dir(), copy)
        changed("app.py", 'if pointer() == "runtime":', "if False:")(copy)
        return copy

    def publish(self, sequence: int, *, crashes: bool) -> None:
        """A release with that runtime and nothing else."""
        path = self._folder / f"runtime {sequence}.bin"
        path.write_bytes(runtime_image.app("esp32s3", "1.28.1", size=60_000, crashes=crashes))
        order = making.Order(METER, sequence, EXPIRY, application=False, runtime=path)
        made = making.make(firmware_dir(), slots.cache_dir() / "node", order)
        made = release_rig.signed(made, release_rig.keys().release)
        with self.database.begin() as session:
            row = intake.add(session, made, "Li Wei", now_us())
            store.promote(session, row.sequence, "Li Wei", now_us())


async def test_a_runtime_that_crashes_or_sleeps_unconfirmed_is_gone_and_the_fleet_knows(
    tmp_path: Path,
) -> None:
    street = Runtimes(tmp_path, seed=6, table=200)
    try:
        await street.open(2)
        street.publish(NEW + 4, crashes=True)
        street.publish(NEW + 5, crashes=False)
        crashes, sleeps = street.houses
        sleeps.node.twin.link = NbIotLink(144.0)

        async def crashed() -> str:
            await street.offered(crashes, NEW + 4)
            return await street.ends(crashes, "rolled-back")

        async def slept() -> str:
            await street.offered(sleeps, NEW + 5)
            board = sleeps.node.board
            await board.run_until(lambda: board.life.resets["hard"] > 0, 300)
            sleeps.node.twin.network.set_coverage(False)
            await board.run_until(lambda: board.life.resets["hard"] > 1, 300)
            sleeps.node.twin.network.set_coverage(True)
            return await street.ends(sleeps, "rolled-back")

        assert await asyncio.gather(crashed(), slept()) == ["bootloader", "slept"]
    finally:
        await street.close()


def _slot(house: House) -> bytes:
    """The pointer as it lies in the node's flash; b"" where there is none."""
    row = partitions.find(house.node.board.table, "vfs")
    with house.node.board.flash_path.open("rb") as file:
        file.seek(row.offset)
        raw = file.read(row.size)
    fs = LittleFS(block_size=4096, block_count=row.size // 4096, mount=False)
    fs.context.buffer[:] = raw
    try:
        fs.mount()
        with fs.open("/slot", "rb") as found:
            return bytes(found.read())
    except (LittleFSError, FileNotFoundError):
        return b""


def _error(street: Ends, house: House) -> object:
    ((status,),) = street._query("SELECT status FROM terminals WHERE id = ?", house.node.node_id)
    return str(json.loads(str(status or "{}")).get("6"))
