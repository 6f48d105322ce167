"""Boxes in transparent mode: they say who they are, and the meters behind them are asked."""

import asyncio
import random
from collections.abc import Callable, Iterator

import legacy_fuzz
import legacy_rig as rig
import migration_rig
import pytest
from legacy_rig import End
from sqlalchemy import select, update

from fleet.db.base import Database
from fleet.legacy import asking, polling
from fleet.legacy.asking import line_of, questions
from fleet.legacy.tables import LegacyStranger
from fleet.registry.tables import Terminal
from fleet.wire import cjt188, dlt645, modbus
from fleet.wire import quantity as quantities

GAS_BOX, TWO_BOX = migration_rig.imei(5).encode(), migration_rig.imei(6).encode()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with rig.city(tmp_path_factory.mktemp("city")) as opened:
        yield opened


@pytest.fixture
def database(city: Database) -> Database:
    return rig.fresh(city)


def play(
    database: Database, opening: bytes, answer: Callable[[bytes], list[bytes]], stored: int
) -> list[bytes]:
    """A box that opens so, until so much is stored; `answer` gives what comes of a request, piece
    by piece. The requests.
    """
    asked = []

    async def run() -> None:
        async with rig.serving(database, rig.config(air_s=0.1)) as served:
            end = await End.to(served, "dtu")
            await end.say(opening)

            async def box() -> None:
                while request := await end.hear():
                    asked.append(request)
                    for piece in answer(request):
                        await end.say(piece)
                        await asyncio.sleep(0.01)

            answering = asyncio.create_task(box())
            await rig.until(lambda: served.commits.counts["new"] >= stored)
            answering.cancel()
            await end.close()

    asyncio.run(run())
    return asked


def test_a_gas_meter_alone_on_its_box_is_read_for_the_boxs_asset(database: Database) -> None:
    (request,) = play(database, GAS_BOX + b"\r\n", lambda raw: [rig.gas_answer(raw, "1234.56")], 3)
    kind, address, control, _data = cjt188.decode(request.lstrip(b"\xfe"))
    assert (kind, address, control) == (0x30, rig.GAS, cjt188.READ)
    assert rig.readings(database) == [
        ("M5", "gas_volume", 1_234_560), ("M5", "meter_valve", 0), ("M5", "meter_battery_low", 0),
    ]  # fmt: skip


def test_an_answer_in_pieces_behind_noise_and_anothers_answer_is_found(database: Database) -> None:
    def answer(raw: bytes) -> list[bytes]:
        kind, address, _control, data = cjt188.decode(raw.lstrip(b"\xfe"))
        late = cjt188.read_request(kind, address, 0x901F, data[2] - 1 & 255)
        whole = rig.gas_answer(raw, "7.00")
        return [b"\x00\x68\x11", rig.gas_answer(late, "6.00"), whole[:5], whole[5:9], whole[9:]]

    play(database, GAS_BOX, answer, 3)
    assert rig.readings(database)[0] == ("M5", "gas_volume", 7_000)


def test_two_meters_of_two_protocols_behind_one_box(database: Database) -> None:
    def answer(raw: bytes) -> list[bytes]:
        if raw.lstrip(b"\xfe")[:1] == b"\x68":
            return [rig.power_answer(raw)]
        return [rig.air_answer(raw)]

    play(database, b"IMEI:" + TWO_BOX, answer, 6)
    assert rig.readings(database) == [
        ("flat 1", "energy", 26), ("roof", "humidity", 500), ("roof", "temperature", 501),
        ("roof", "noise", 502), ("roof", "pm2_5", 5030), ("roof", "pm10", 5040),
    ]  # fmt: skip


def test_a_silent_meter_is_asked_again_and_the_next_one_then(database: Database) -> None:
    def answer(raw: bytes) -> list[bytes]:
        return [] if raw.lstrip(b"\xfe")[:1] == b"\x68" else [rig.air_answer(raw)]

    asked = play(database, TWO_BOX, answer, 5)
    assert len(asked) == line_of("dlt645").tries + 1
    assert {name for name, _, _ in rig.readings(database)} == {"roof"}


def test_a_heartbeat_between_answers_is_none_of_the_meters(database: Database) -> None:
    async def run() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "dtu")
            await end.say(GAS_BOX)
            request = await end.hear()
            await end.say(rig.gas_answer(request, "1.00"))
            await rig.until(lambda: served.commits.counts["new"] == 3)
            frames = served.counts["frames"]
            await end.say(b"PING")
            await rig.until(lambda: served.counts["frames"] == frames + 1)
            assert served.counts["garbage"] == 0
            await end.close()

    asyncio.run(run())


def test_a_box_that_was_unknown_is_asked_once_it_is_known(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "AGAIN_S", 0.0)
    mine = Terminal.imei == GAS_BOX.decode()

    async def run() -> None:
        with database.begin() as session:
            session.execute(update(Terminal).where(mine).values(state="retired"))
        async with rig.serving(database) as served:
            end = await End.to(served, "dtu")
            await end.say(GAS_BOX)
            await rig.until(lambda: served.commits.counts["kept"] == 1)
            with database.begin() as session:
                session.execute(update(Terminal).where(mine).values(state="active"))
            await end.say(b"PING")
            await end.say(rig.gas_answer(await end.hear(), "5.00"))
            await rig.until(lambda: served.commits.counts["new"] == 3)
            await end.close()

    asyncio.run(run())


def test_an_unknown_box_is_a_stranger_and_asked_nothing(database: Database) -> None:
    async def run() -> None:
        async with rig.serving(database) as served:
            end = await End.to(served, "dtu")
            await end.say(migration_rig.imei(77).encode())
            await rig.until(lambda: served.commits.counts["kept"] == 1)
            assert await end.silent()
            await end.close()

    asyncio.run(run())
    with database.read() as session:
        row = session.scalars(select(LegacyStranger)).one()
    assert (row.kind, row.address, row.why) == ("imei", migration_rig.imei(77), "unknown")


@pytest.mark.parametrize("profile", ["cjt188-gas", "cjt188-water", "dlt645", "sdm120", "air"])
def test_every_profile_asks_and_none_acts(profile: str) -> None:
    line = line_of(profile)
    address = {asking.MODBUS: "17", asking.DLT645: rig.POWER, asking.CJT188: rig.GAS}
    asked = list(questions(line, address[line.protocol], 300))
    assert asked
    for ask in asked:
        assert asking.only_reads(line.protocol, ask.request) == ask.request


def test_the_flow_of_a_heat_meter_has_four_decimals() -> None:
    frames = legacy_fuzz.examples("cjt188")
    frame = next(one for one in frames if one[:2] == b"\x68\x20" and one[9] == 0x81)
    _kind, address, _control, data = cjt188.decode(frame)
    asked = list(questions(line_of("cjt188-heat"), address, data[2]))
    told = dict(pair for ask in asked[:1] for pair in ask.read(frame))
    read = {quantities.QUANTITIES[code][0]: value for code, value in told.items()}
    assert read["flow"] == 1250  # 00 25 01 00 35 is 1.2500 m3/h
    assert (read["water_volume"], read["temperature"]) == (320_000, 655)


@pytest.mark.parametrize(
    ("protocol", "request_"),
    [
        (asking.CJT188, cjt188.valve_request(0x30, rig.GAS, cjt188.CLOSE, 1)),
        (asking.CJT188, cjt188.encode(0x30, rig.GAS, cjt188.SET_BASE, bytes(8))),
        (asking.DLT645, dlt645.encode(rig.POWER, 0x1C, bytes(16))),
        (asking.DLT645, dlt645.encode(rig.POWER, dlt645.WRITE, bytes(12))),
        (asking.MODBUS, modbus.write_request(7, 0, [1])),
        (asking.MODBUS, b"\x01\x05\x00\x00\xff\x00"),
        (asking.CJT188, b""),
    ],
)
def test_what_would_act_is_refused(protocol: int, request_: bytes) -> None:
    with pytest.raises(asking.WouldAct):
        asking.only_reads(protocol, request_)


def test_find_answer_is_total() -> None:
    chance = random.Random(5)
    (ask,) = questions(line_of("cjt188-gas"), rig.GAS, 1)
    for _ in range(500):
        held = bytearray(chance.randbytes(chance.randrange(80)))
        asking.find_answer(ask, held)
        assert len(held) <= 80
