"""Peers of the listeners that flood, lie half-open or never read: what they cost is bounded."""

import asyncio
import contextlib
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fleet_rig
import legacy_rig as rig
import pytest
from legacy_rig import End

from fleet.db.base import Database
from fleet.legacy import descriptors
from fleet.legacy.commits import Item
from fleet.legacy.limits import Bounds, Bucket
from fleet.legacy.listeners import Listeners
from fleet.legacy.protocols import hj212, hj212_words, sl651
from fleet.legacy.protocols import sl651_words as words
from fleet.settings import SettingsError

_MOST = 200  # frames in the queue


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with rig.city(tmp_path_factory.mktemp("city")) as opened:
        yield opened


@pytest.fixture
def database(city: Database) -> Database:
    return rig.fresh(city)


async def _pour(end: End) -> None:
    """Frames as fast as they are taken, until cancelled."""
    frames = b"".join(rig.packet(minute) for minute in range(60))
    with contextlib.suppress(ConnectionError):
        while True:
            await end.say(frames)


def _flooded(database: Database, pending: int, most: int, enough: int | None) -> int:
    """How many frames are taken in while the database takes none: until none of four connections
    is read any more, or until there are `enough`.
    """
    found = 0

    async def play() -> None:
        nonlocal found
        chosen = rig.config(burst=1e9, pending=pending)
        async with rig.serving(database, chosen) as served:
            served.commits._most = most
            submit = served.commits.submit

            def count(item: Item) -> bool:
                nonlocal found
                found += 1
                return submit(item)

            served.commits.submit = count  # type: ignore[method-assign]
            ends = [await End.to(served, "hj212") for _ in range(4)]
            hall = served.hall
            assert hall is not None

            def over() -> bool:
                if enough is not None:
                    return found >= enough
                return len(hall.proven) == 4 and all(one._pauses for one in hall.proven)

            with fleet_rig.writer_elsewhere(Path(str(database.engine.url.database))):
                pouring = [asyncio.create_task(_pour(end)) for end in ends]
                await rig.until(over)
                for task in pouring:
                    task.cancel()
                served.commits._queue.clear()
            for end in ends:
                end.writer.transport.abort()

    asyncio.run(play())
    return found


def test_a_flood_fills_the_queue_and_then_the_network(database: Database) -> None:
    # What one read of each connection brings on top: 16 kB are less than 100 frames. And the queue
    # may have filled twice: a batch was in the committer's hands before.
    assert 0 < _flooded(database, 10**9, _MOST, None) < 2 * (_MOST + 4 * 100)


def test_one_connection_has_so_many_frames_pending(database: Database) -> None:
    assert 0 < _flooded(database, 50, 10**9, None) < 4 * (50 + 100)


def test_sabotage_without_the_guards_a_flood_grows_without_end(database: Database) -> None:
    assert _flooded(database, 10**9, 10**9, 5 * _MOST) >= 5 * _MOST


def test_a_connection_is_read_no_faster_than_its_bucket_fills() -> None:
    bounds = Bounds(frames_per_s=20, burst=10)
    bucket = Bucket(bounds, 0.0)
    assert bucket.take(bounds, 9, 0.0) == 0
    assert bucket.take(bounds, 11, 0.0) == pytest.approx(11 / 20)
    assert bucket.take(bounds, 0, 1.0) == 0


def test_a_connection_that_floods_is_paced(database: Database) -> None:
    async def play() -> None:
        async with rig.serving(database, rig.config(burst=20, frames_per_s=1)) as served:
            end = await End.to(served, "hj212")
            await end.say(b"".join(rig.packet(minute) for minute in range(30)))
            await end.hear()
            await end.say(b"".join(rig.packet(minute) for minute in range(30, 60)))
            await rig.until(lambda: served.counts["paced"] == 1)
            assert served.counts["frames"] < 60
            end.writer.transport.abort()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("proven", "why"), [(False, "half-open"), (True, "idle")], ids=["half-open", "idle"]
)
def test_a_silent_connection_is_closed(database: Database, proven: bool, why: str) -> None:
    async def play() -> None:
        async with rig.serving(database, rig.config(first_s=50, idle_s=50)) as served:
            hall = served.hall
            assert hall is not None
            end, other = [await End.to(served, "hj212") for _ in range(2)]
            await end.say(rig.packet(1) if proven else b"##01")
            if proven:
                await end.hear()
            await rig.until(lambda: len(hall) == 2)
            hall.sweep()
            assert len(hall) == 2
            kept = hall.proven if proven else hall.unproven
            kept[next(iter(kept))] -= 51  # so long ago
            kept.move_to_end(next(iter(kept)), last=False)
            hall.sweep()
            assert await end.hear() == b""
            assert served.counts[why] == 1
            await other.close()

    asyncio.run(play())


def test_half_open_connections_push_out_each_other_and_no_station(database: Database) -> None:
    async def play() -> None:
        async with rig.serving(database, rig.config(unproven=5)) as served:
            station = await End.to(served, "hj212")
            await station.say(rig.packet(1))
            await station.hear()
            crowd = [await End.to(served, "hj212") for _ in range(12)]
            await rig.until(lambda: served.counts["half-open"] == 7)
            await station.say(rig.packet(2))
            assert hj212.decode(await station.hear()).cn == "9014"
            for end in (*crowd, station):
                end.writer.transport.abort()

    asyncio.run(play())


def test_more_connections_than_are_allowed_are_closed(database: Database) -> None:
    async def play() -> None:
        async with rig.serving(database, rig.config(connections=3)) as served:
            ends = [await End.to(served, "hj212") for _ in range(5)]
            await rig.until(lambda: served.counts["full"] == 2)
            for end in ends:
                end.writer.transport.abort()

    asyncio.run(play())


def test_who_sends_only_garbage_is_closed(database: Database) -> None:
    async def play() -> None:
        async with rig.serving(database, rig.config(garbage=500)) as served:
            for name, data in (("hj212", b"##9999" * 200), ("dtu", b"\x01" * 2000)):
                end = await End.to(served, name)
                await end.say(data)
                assert await end.hear() == b""
            assert served.counts["only garbage"] == 2

    asyncio.run(play())


def test_who_reads_no_answers_is_closed(database: Database) -> None:
    async def play() -> None:
        async with rig.serving(database, rig.config(burst=1e9)) as served:
            end = await End.to(served, "hj212")
            hall = served.hall
            assert hall is not None
            await rig.until(lambda: len(hall) == 1)
            (session,) = hall.unproven
            session.send(b"x" * 20_000_000)  # more than both ends' buffers take
            await rig.until(lambda: served.counts["reads no answers"] == 1)
            assert len(hall) == 0
            end.writer.transport.abort()

    asyncio.run(play())


def test_unfinished_messages_of_all_together_are_bounded(database: Database) -> None:
    async def play() -> None:
        async with rig.serving(database, rig.config(parts_one=4_000)) as served:
            hall = served.hall
            assert hall is not None
            end = await End.to(served, "sl651")
            whole = sl651.decode(rig.report(3))
            for number in range(2, 12):
                part = replace(
                    whole, part=(number, 1000), end=words.ETB, body=whole.body + bytes(900)
                )
                await end.say(sl651.encode(part))
            await rig.until(lambda: served.counts["too many parts"] >= 1)
            assert hall.parts <= 4_000
            end.writer.transport.abort()

    asyncio.run(play())


def test_nothing_that_a_station_says_makes_the_listener_ask_or_set_anything(
    database: Database,
) -> None:
    at = (("DataTime", "20261120080000"), ("w01018-Rtd", "1"))

    async def play(served: Listeners) -> bytes:
        end = await End.to(served, "hj212")
        for cn in (*hj212_words.COMMANDS, "3999"):
            for groups in ((), (at,)):
                made = hj212.Packet("32", cn, rig.MN, groups, "20261120080000223", "1", 5)
                await end.say(hj212.encode(made))
        end.writer.write_eof()
        heard = b""
        while more := await end.hear():
            heard += more
        await end.close()
        return heard

    async def run() -> None:
        async with rig.serving(database, rig.config(burst=1e9, garbage=10**9)) as served:
            told = hj212.splitter().feed(await play(served))
            answers = {hj212.decode(one).cn for one in told if isinstance(one, bytes)}
            assert answers == {"9013", "9014"}

    asyncio.run(run())


def test_open_files_are_raised_or_the_lack_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []

    def refuse(_what: int, wanted: tuple[int, int]) -> None:
        told.append(wanted)
        if wanted[1] > 4096:
            raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert descriptors.make_room(1_000) == 1_128
    assert told[-1] == (1_128, 4_096)
    with pytest.raises(SettingsError, match="10000 connections need 10128 open files"):
        descriptors.make_room(10_000)
