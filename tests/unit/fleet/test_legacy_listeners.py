"""Stations of HJ 212 and SL 651: answered behind the commit, and only then; who moves is seen."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fleet_rig
import legacy_rig as rig
import pytest
from legacy_rig import MN, OTHER_MN, End
from sqlalchemy import select

from fleet.db.base import Database
from fleet.legacy import intake, links, strangers, terminals
from fleet.legacy.channel import Rules
from fleet.legacy.intake import Stored
from fleet.legacy.links import Home
from fleet.legacy.mapping import Meanings
from fleet.legacy.protocols import hj212, sl651, sl651_packets
from fleet.legacy.protocols import sl651_words as words
from fleet.legacy.sessions import Session
from fleet.legacy.tables import LegacyKept, LegacyLink, LegacyStranger, LegacyUnmapped
from fleet.legacy.talk_hj212 import Hj212
from fleet.legacy.talk_sl651 import Sl651
from fleet.telemetry import operations as telemetry
from fleet.telemetry.tables import Reading


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with rig.city(tmp_path_factory.mktemp("city")) as opened:
        yield opened


@pytest.fixture
def database(city: Database) -> Database:
    return rig.fresh(city)


def path_of(database: Database) -> Path:
    return Path(str(database.engine.url.database))


def strange(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        rows = session.scalars(select(LegacyStranger).order_by(LegacyStranger.address))
        return [(row.address, row.why) for row in rows]


def test_a_packet_is_stored_and_then_answered(database: Database) -> None:
    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "hj212")
            with fleet_rig.writer_elsewhere(path_of(database)):
                await end.say(rig.packet(1)[:40])
                await end.say(rig.packet(1)[40:])
                assert await end.silent()
            answer = hj212.decode(await end.hear())
            assert (answer.cn, answer.mn, answer.qn) == ("9014", MN, "20261120000100223")
            assert rig.readings(database) == [("M3", "cod", 112)]
            await end.say(rig.packet(1))  # again, and answered again
            assert hj212.decode(await end.hear()).cn == "9014"
            assert served.commits.counts["again"] == 1
            await end.close()

    asyncio.run(play())


def test_sabotage_an_answer_before_the_commit_promises_what_nobody_has(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Session.commit

    def hasty(self: Session, source: object, item: object) -> None:
        item.done(Stored(new=1))  # type: ignore[attr-defined]
        commit(self, source, item._replace(done=lambda _: None))  # type: ignore

    monkeypatch.setattr(Session, "commit", hasty)

    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "hj212")
            with fleet_rig.writer_elsewhere(path_of(database)):
                await end.say(rig.packet(1))
                assert hj212.decode(await end.hear()).cn == "9014"
                assert rig.readings(database) == []
            await end.close()

    asyncio.run(play())


def test_who_has_said_all_still_hears_the_answer(database: Database) -> None:
    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "hj212")
            await end.say(rig.packet(1))
            end.writer.write_eof()
            assert hj212.decode(await end.hear()).cn == "9014"
            assert await end.hear() == b""
            await end.close()

    asyncio.run(play())


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_report_of_a_station_is_answered_with_esc(database: Database, kind: int) -> None:
    async def play() -> None:
        async with rig.serving(database) as served:
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_INET, kind) as sock:
                sock.setblocking(False)
                await loop.sock_connect(sock, ("127.0.0.1", served.addresses["sl651_port"]))
                await loop.sock_sendall(sock, rig.report(7))
                told = await asyncio.wait_for(loop.sock_recv(sock, 2000), rig.WAIT_S)
            answer = sl651.decode(told)
            assert (answer.up, answer.serial, answer.end) == (False, 7, words.ESC)
            assert rig.readings(database) == [("M2", "level", 127)]

    asyncio.run(play())


def damaged() -> bytes:
    """A report that says to be as long as one can be."""
    whole = bytearray(rig.report(6))
    whole[11:13] = b"\x0f\xff"
    return bytes(whole)


def test_a_damaged_length_in_a_datagram_silences_nobody(database: Database) -> None:
    async def play() -> None:
        async with rig.serving(database) as served:
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                await loop.sock_connect(sock, ("127.0.0.1", served.addresses["sl651_port"]))
                for raw in (damaged(), rig.report(7)):
                    await loop.sock_sendall(sock, raw)
                told = await asyncio.wait_for(loop.sock_recv(sock, 2000), rig.WAIT_S)
            assert sl651.decode(told).serial == 7

    asyncio.run(play())


def test_behind_a_silence_a_frame_with_a_damaged_length_is_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "sl651")
            await end.say(damaged() + rig.report(7))
            await rig.until(lambda: bool(served.hall and served.hall.holding))
            assert await end.silent()  # it could be the rest of the frame
            monkeypatch.setattr(Sl651, "silence_s", 0.0)
            assert sl651.decode(await end.hear()).serial == 7
            assert served.hall is not None
            assert not served.hall.holding
            await end.close()

    asyncio.run(play())
    assert rig.readings(database) == [("M2", "level", 127)]


def test_a_report_in_parts_is_asked_for_what_is_missing_and_answered_once(
    database: Database,
) -> None:
    whole = sl651.decode(rig.report(9))
    parts = [sl651.encode(one) for one in sl651_packets.split(whole, 12)]
    assert len(parts) > 2

    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "sl651")
            await end.say(parts[0] + b"".join(parts[2:]))
            missing = sl651.decode(await end.hear())
            assert (missing.end, missing.part) == (words.NAK, (2, len(parts)))
            assert rig.readings(database) == []
            for repair in (parts[1], parts[-1], parts[1], parts[0] + parts[-1]):
                await end.say(repair)  # the first makes it whole; the others are repeats
                done = sl651.decode(await end.hear())
                assert (done.end, done.body[:2]) == (words.EOT, b"\0\x09")
                assert done.part == (len(parts), len(parts))
                assert rig.readings(database) == [("M2", "level", 127)]
            assert await end.silent()
            assert served.commits.counts["new"] == 1
            await end.close()

    asyncio.run(play())


def test_of_two_parts_that_are_missing_both_are_asked_for(database: Database) -> None:
    whole = sl651.decode(rig.report(9))
    parts = [sl651.encode(one) for one in sl651_packets.split(whole, 9)]
    assert len(parts) > 3

    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "sl651")
            await end.say(parts[0] + b"".join(parts[3:]))
            told = []
            for repair in (parts[1], parts[2], b""):
                answer = sl651.decode(await end.hear())
                told.append((answer.end, answer.part and answer.part[0]))
                await end.say(repair)
            assert told == [(words.NAK, 2), (words.NAK, 3), (words.EOT, len(parts))]
            other = sl651_packets.split(sl651.decode(rig.report(10, "0.2")), 9)
            await end.say(b"".join(sl651.encode(one) for one in other))  # begins anew
            assert sl651.decode(await end.hear()).body[:2] == b"\0\x0a"
            await end.close()

    asyncio.run(play())
    assert rig.readings(database) == [("M2", "level", 127), ("M2", "level", 200)]


def test_a_message_in_parts_that_could_not_be_kept_is_taken_anew() -> None:
    parts = sl651_packets.split(sl651.decode(rig.report(9)), 12)
    channel = rig.Still()
    talk = Sl651(Rules(Meanings()), channel)
    frames = b"".join(sl651.encode(one) for one in parts)
    for refused in (1, 0):
        talk.feed(frames)
        channel.items.pop().done(Stored(refused=refused))
        assert len(channel.sent) == 1 - refused
    talk.feed(frames)
    assert (len(channel.items), len(channel.sent)) == (0, 2)


def test_of_a_report_that_is_cut_within_an_element_nothing_is_lost(database: Database) -> None:
    body = sl651.decode(rig.report(9)).body + bytes.fromhex("3812 1132")  # VT has two bytes
    first = replace(sl651.decode(rig.report(9)), body=body[:-1], end=words.ETB)
    rest = replace(first, body=body[:8] + body[-1:], end=words.ETX)
    frames = [sl651.encode(one) for one in (first, rest)]
    assert [one.key for one in sl651.decode(frames[0]).readings] == ["Z"]

    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "sl651")
            await end.say(frames[0])
            assert sl651.decode(await end.hear()).end == words.ACK
            await end.say(frames[1])
            assert await end.silent()
            await rig.until(lambda: served.commits.counts["kept"] == 2)
            await end.close()

    asyncio.run(play())
    assert rig.readings(database) == [("M2", "level", 127)]
    with database.read() as session:
        assert list(session.scalars(select(LegacyKept.frame).order_by(LegacyKept.id))) == frames


def test_a_part_without_a_time_has_that_of_the_first(database: Database) -> None:
    one = hj212.decode(rig.packet(3))
    first = hj212.encode(replace(one, flag=7, pnum=2, pno=1))
    second = hj212.encode(replace(one, flag=7, pnum=2, pno=2, groups=((("w21003-Rtd", "0.5"),),)))

    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "hj212")
            await end.say(second)
            assert await end.silent()  # it would be of no time
            for raw in (first, second):
                await end.say(raw)
                assert hj212.decode(await end.hear()).cn == "9014"
            await end.close()

    asyncio.run(play())
    with database.read() as session:
        assert len(set(session.scalars(select(Reading.time_us)))) == 1
    assert rig.readings(database) == [("M3", "cod", 112), ("M3", "ammonia_nitrogen", 500)]


def test_a_later_part_never_gets_the_time_of_another_message() -> None:
    one = hj212.decode(rig.packet(3))
    part = replace(one, flag=7, pnum=3, pno=1)
    bare = replace(part, groups=((("w21003-Rtd", "0.5"),),))
    channel = rig.Still()
    talk = Hj212(Rules(Meanings()), channel)
    for qn, pno, is_taken in (
        ("20261120000300223", 3, True),  # the same QN, its part 2 comes later
        ("20261120000300223", 2, True),
        ("20261120000300224", 3, True),  # the next of it
        ("20261120000400223", 3, False),  # of another one, the first part of which was lost
        ("20261120000400223", 2, False),
    ):
        if not channel.items:
            talk.feed(hj212.encode(part))
        before = len(channel.items)
        talk.feed(hj212.encode(replace(bare, qn=qn, pno=pno)))
        assert (len(channel.items) - before, qn, pno) == (int(is_taken), qn, pno)
    assert channel.told == ["parts without a time"] * 2
    assert len({value.time_us for item in channel.items for value in item.arrival.values}) == 1


def test_frames_that_cannot_be_stored_do_not_stop_a_connection(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = intake.write

    def sick(session: object, arrivals: list[intake.Arrival]) -> list[Stored]:
        if any(one.frame != rig.packet(9) for one in arrivals):
            raise ValueError("it is beyond the database")
        return write(session, arrivals)  # type: ignore[arg-type]

    monkeypatch.setattr(intake, "write", sick)

    async def play() -> None:
        async with rig.serving(database, rig.config(pending=2)) as served:
            end = await End.to(served, "hj212")
            for minute in (1, 2, 3, 9):
                await end.say(rig.packet(minute))
            assert hj212.decode(await end.hear()).qn == "20261120000900223"
            assert served.commits.counts["poison"] == 3
            assert served.commits.counts["refused"] == 3
            await end.close()

    asyncio.run(play())


def test_what_is_no_quantity_is_listed_and_the_rest_stored(database: Database) -> None:
    at = (("DataTime", "20261120080000"),)
    groups = (at, (("w01018-Rtd", "3"),), (("w99999-Rtd", "4.5"),))
    raw = hj212.encode(hj212.Packet("32", "2011", MN, groups, "20261120080000223", "1", 5))

    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "hj212")
            await end.say(raw)
            await end.hear()
            await end.close()

    asyncio.run(play())
    assert rig.readings(database) == [("M3", "cod", 300)]
    with database.read() as session:
        row = session.scalars(select(LegacyUnmapped)).one()
        assert (row.key, row.value) == ("w99999-Rtd", "4.5")


def test_a_stranger_is_kept_and_answered_as_long_as_there_is_room(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "EACH", 1)

    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "hj212")
            await end.say(rig.packet(1, mn="NOBODY"))
            assert hj212.decode(await end.hear()).cn == "9014"
            await end.say(rig.packet(2, mn="NOBODY"))
            assert await end.silent()
            await end.close()

    asyncio.run(play())
    assert (strange(database), rig.readings(database)) == ([("NOBODY", "unknown")], [])


def test_a_tolerated_crc_is_taken_of_who_may_and_recorded(database: Database) -> None:
    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "hj212")
            await end.say(rig.packet(1, variant=hj212.MODBUS_CRC))
            assert await end.silent()
            await rig.until(lambda: strange(database) == [(MN, "variant modbus-crc")])
            assert rig.readings(database) == []
            served.rules.allowed = frozenset({MN})
            await end.say(rig.packet(1, variant=hj212.MODBUS_CRC))
            answer = hj212.decode(await end.hear(), hj212.MODBUS_CRC)
            assert (answer.cn, answer.variant) == ("9014", hj212.MODBUS_CRC)
            await end.close()

    asyncio.run(play())
    assert rig.readings(database) == [("M3", "cod", 112)]
    with database.read() as session:
        assert [row.used for row in session.scalars(select(LegacyLink))] == ["modbus-crc"]


def test_who_is_tolerated_is_asked_of_the_database(database: Database) -> None:
    with database.begin() as session:
        terminal_id = terminals.find(session, "T3")
        links.tolerate(session, terminal_id, "modbus-crc")
    with database.read() as session:
        assert links.allowed(session, "modbus-crc") == {MN}


def test_a_terminal_that_speaks_from_elsewhere_raises_an_alarm(database: Database) -> None:
    async def speak(served: object, source: str, minute: int) -> None:
        end = await End.to(served, "hj212", source)  # type: ignore[arg-type]
        await end.say(rig.packet(minute))
        await end.hear()
        await end.close()

    async def play() -> None:
        chosen = rig.config(home=Home())
        async with rig.serving(database, chosen) as served:
            await speak(served, "127.0.0.1", 1)
            await speak(served, "127.0.0.9", 2)  # its neighbourhood
            assert rig.alarms(database) == []
            await speak(served, "127.0.9.1", 3)
            assert rig.alarms(database) == ["legacy-moved"]

    asyncio.run(play())
    with database.read() as session:
        row = session.scalars(select(LegacyLink)).one()
        assert (row.peer, row.before, row.moves) == ("127.0.9.1", "127.0.0.9", 1)


def test_within_an_operators_network_nothing_moves() -> None:
    home = Home((ipaddress.ip_network("10.64.0.0/10"),))
    assert not home.is_move("10.64.1.1", "10.127.9.9")
    assert home.is_move("10.64.1.1", "11.0.0.1")
    assert home.is_move("2001:db8::1", "2001:db9::1")
    assert not Home().is_move("::ffff:10.0.0.1", "10.0.0.200")


def test_two_that_speak_as_one_by_turns_raise_an_alarm(database: Database) -> None:
    async def play() -> None:
        async with rig.serving(database) as served:
            true, false = [await End.to(served, "hj212", at) for at in ("127.0.0.1", "127.0.0.7")]
            for minute, end in enumerate((true, false)):
                await end.say(rig.packet(minute))
                await end.hear()
            assert rig.alarms(database) == []  # one that came anew looks the same
            await true.say(rig.packet(3))
            await true.hear()
            assert rig.alarms(database) == ["legacy-clash"]
            await false.say(rig.packet(3, value="99"))
            await false.hear()
            for end in (true, false):
                await end.close()

    asyncio.run(play())
    assert [value for _, _, value in rig.readings(database)] == [112, 112, 112]  # the first stands


def test_several_stations_behind_one_connection_are_no_clash(database: Database) -> None:
    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "hj212")
            for minute in range(3):
                for mn in (MN, OTHER_MN):
                    await end.say(rig.packet(minute, mn))
                    await end.hear()
            await end.close()

    asyncio.run(play())
    assert len(rig.readings(database)) == 6
    assert rig.alarms(database) == []


def test_statistics_are_quantities_of_their_own(database: Database) -> None:
    at = (("DataTime", "20261120080000"),)
    groups = (at, (("w01018-Cou", "1.5"), ("w01018-Min", "1"), ("w01018-Avg", "2")))
    raw = hj212.encode(hj212.Packet("32", "2061", MN, groups, "20261120080000223", "1", 5))

    async def play() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "hj212")
            await end.say(raw)
            await end.hear()
            await end.close()

    asyncio.run(play())
    with database.read() as session:
        rows = telemetry.page(session, telemetry.Filter())
        told = {
            telemetry.quantity_name(row.quantity): telemetry.written(row.quantity, row.value)
            for row in rows
        }
    assert told == {
        "cod_hour_total": "1.500 kg", "cod_hour_min": "1.00 mg/L", "cod_hour_mean": "2.00 mg/L",
    }  # fmt: skip
    assert telemetry.quantity_code("cod_hour_mean") == 20_200
    assert rows[0].time_us == int(rig.AT.timestamp()) * 1_000_000
