"""Values of other makers' terminals become readings: once, at their asset, and none is lost."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import legacy_rig
import migration_rig as rig
import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from fleet.db.base import Database
from fleet.legacy import intake, links, strangers
from fleet.legacy.intake import Arrival, Intake, Source, Stored, Value
from fleet.legacy.tables import LegacyConflict, LegacyKept, LegacyLink, LegacyStranger
from fleet.registry import legacy_behind
from fleet.registry.legacy_behind import Meter
from fleet.registry.tables import Asset, Installation, Terminal
from fleet.settings import load
from fleet.telemetry import operations as telemetry
from fleet.telemetry.tables import Reading
from fleet.upkeep import Upkeep

GAS = 1
NOW = 1_760_000_000_000_000
DTU = Source("number", "T1")
STATION = Source("sl651", "0012345678")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("city")
    with contextlib.closing(rig.open_city(folder)) as opened:
        rig.bring(
            opened,
            folder,
            [
                rig.line(1),
                rig.line(2, protocol="SL651", address="12345678"),
                rig.line(3, protocol="HJ212", address="010000A8900016F000169DC0"),
                rig.line(4),
            ],
        )
        yield opened


@pytest.fixture
def database(city: Database) -> Database:
    return legacy_rig.fresh(city)


def readings(database: Database) -> list[tuple[int, int]]:
    with database.read() as session:
        rows = session.execute(select(Reading.time_us, Reading.value).order_by(Reading.id))
        return [(time_us, value) for time_us, value in rows]


def test_a_value_becomes_a_reading_of_the_lowest_trust(database: Database) -> None:
    stored = Intake(database).store(DTU, [Value(GAS, NOW, 1_234_567)], NOW + 5)
    assert stored._replace(terminal_id="") == Stored(new=1)
    with database.read() as session:
        row = session.scalars(select(Reading)).one()
        asset = session.get_one(Asset, row.asset_id)
        said = session.get_one(Terminal, row.terminal_id).last_report_us
    assert (asset.name, row.trust, row.value, row.clock_off) == ("M1", 0, 1_234_567, False)
    assert said == NOW + 5


@pytest.mark.parametrize(
    "source",
    [
        Source("imei", rig.imei(1)),
        Source("number", "T1"),
        STATION,
        Source("sl651", "12345678"),
        Source("hj212", "010000A8900016F000169DC0"),
    ],
)
def test_a_terminal_is_known_by_what_it_says_of_itself(database: Database, source: Source) -> None:
    assert Intake(database).store(source, [Value(2, NOW, 1)], NOW).new == 1


def test_a_repeat_is_again_and_another_value_is_kept_beside(database: Database) -> None:
    taking = Intake(database)
    values = [Value(GAS, NOW, 10), Value(GAS, NOW + 1, 11)]
    assert taking.store(DTU, values, NOW).new == 2
    told = taking.store(DTU, [*values, Value(GAS, NOW, 12), Value(GAS, NOW - 1, 9)], NOW)
    assert (told.new, told.again, told.conflicts) == (1, 2, 1)
    assert taking.store(DTU, [Value(GAS, NOW, 12)], NOW).conflicts == 1
    assert readings(database) == [(NOW, 10), (NOW + 1, 11), (NOW - 1, 9)]
    with database.read() as session:
        assert [row.value for row in session.scalars(select(LegacyConflict))] == [12]


def test_within_one_batch_the_first_value_of_a_time_stands(database: Database) -> None:
    arrivals = [Arrival(DTU, [Value(GAS, NOW, value)], NOW) for value in (1, 1, 2)]
    told = Intake(database).take(arrivals)
    assert [(one.new, one.again, one.conflicts) for one in told] == [
        (1, 0, 0), (0, 1, 0), (0, 0, 1),
    ]  # fmt: skip
    assert readings(database) == [(NOW, 1)]


def test_sabotage_without_the_question_the_database_itself_refuses_a_double(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    Intake(database).store(DTU, [Value(GAS, NOW, 1)], NOW)
    monkeypatch.setattr(intake._Batch, "_there", lambda *_: {})
    with pytest.raises(IntegrityError):
        Intake(database).store(DTU, [Value(GAS, NOW, 1)], NOW)
    (index,) = [one for one in Reading.__table__.indexes if one.name == "uq_readings_legacy"]  # type: ignore[attr-defined]
    index.drop(database.engine)
    Intake(database).store(DTU, [Value(GAS, NOW, 1)], NOW)
    assert readings(database) == [(NOW, 1), (NOW, 1)]
    legacy_rig.fresh(database)
    index.create(database.engine)


def test_a_reading_is_of_the_asset_that_was_served_then(database: Database) -> None:
    with database.begin() as session:
        terminal = session.scalars(select(Terminal).where(Terminal.imei == rig.imei(4))).one()
        other = session.scalars(select(Asset).where(Asset.name == "M2")).one().id
        mine = session.scalars(
            select(Installation).where(Installation.open_for == terminal.id)
        ).one()
        mine.from_us, mine.to_us, mine.open_for = NOW - 10, NOW, None
        session.flush()
        session.add(Installation(terminal_id=terminal.id, asset_id=other, from_us=NOW,
                                 open_for=terminal.id, register_offset=1000))  # fmt: skip
    Intake(database).store(
        Source("number", "T4"), [Value(GAS, NOW - 1, 500), Value(GAS, NOW + 1, 3)], NOW
    )
    with database.read() as session:
        rows = session.execute(
            select(Asset.name, Reading.value)
            .join(Asset, Asset.id == Reading.asset_id)
            .order_by(Reading.time_us)
        )
        assert [tuple(row) for row in rows] == [("M4", 500), ("M2", 1003)]


def test_meters_behind_a_terminal_are_told_apart(database: Database) -> None:
    with database.begin() as session:
        terminal_id = session.scalars(
            select(Terminal.id).where(Terminal.imei == rig.imei(1))
        ).one()
        for n in (1, 2):
            legacy_behind.put(session, Meter(terminal_id, f"flat {n}", "water-meter", f"{n:014d}"))
    taking = Intake(database)
    for n in (1, 2):
        told = taking.store(DTU._replace(meter=f"{n:014d}"), [Value(34, NOW, 7)], NOW)
        assert told.new == 1
    assert taking.store(DTU._replace(meter="9"), [Value(34, NOW, 7)], NOW).kept == 1
    with database.read() as session:
        names = session.scalars(
            select(Asset.name).join(Reading, Reading.asset_id == Asset.id).order_by(Asset.name)
        )
        assert list(names) == ["flat 1", "flat 2"]
        assert session.scalars(select(LegacyStranger.why)).all() == ["unknown meter"]


def test_what_a_stranger_sent_waits_for_its_inventory(database: Database, tmp_path: Path) -> None:
    source = Source("sl651", "0000000009")
    arrival = Arrival(source, [Value(2, NOW, 42)], NOW, b"frame", "10.0.0.1")
    for _ in range(2):
        (told,) = Intake(database).take([arrival])
        assert (told.kept, told.why, told.is_safe) == (1, "unknown", True)
    with database.read() as session:
        row = session.scalars(select(LegacyStranger)).one()
        assert (row.seen, row.kept, row.peer) == (2, 1, "10.0.0.1")
        assert session.scalars(select(LegacyKept.frame)).all() == [b"frame"]
    rig.bring(database, tmp_path, [rig.line(9, protocol="sl651", address="0000000009")])
    with database.begin() as session:
        assert [one.new for one in intake.take_kept(session, source)] == [1]
    assert readings(database) == [(NOW, 42)]
    with database.read() as session:
        assert session.scalars(select(LegacyStranger)).all() == []


def test_what_is_held_back_becomes_no_reading_by_being_taken_in(database: Database) -> None:
    held = intake.variant_hold("modbus-crc")
    rows = (("a", held), ("b", "an element in two frames"), ("c", "variant other"))
    for place, (frame, hold) in enumerate(rows):
        Intake(database).take([
            Arrival(DTU, [Value(GAS, NOW + place, 1)], NOW, frame.encode(), hold=hold)
        ])  # fmt: skip
    with database.begin() as session:
        assert intake.take_kept(session, DTU) == []
        known = intake.known_of(session, DTU)
        assert known is not None
        links.tolerate(session, known.terminal_id, "modbus-crc")
    assert readings(database) == []
    with database.begin() as session:
        assert [one.new for one in intake.take_kept(session, DTU)] == [1]
        assert intake.take_kept(session, DTU) == []
    assert readings(database) == [(NOW, 1)]
    with database.read() as session:
        row = session.scalars(select(LegacyLink)).one()
        assert (row.used, row.used_us) == ("modbus-crc", NOW)
        assert len(session.scalars(select(LegacyKept)).all()) == 2


def test_strangers_take_so_much_and_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "MOST", 3)
    monkeypatch.setattr(strangers, "EACH", 2)
    taking = Intake(database)
    for n in range(5):
        for at in range(4):
            told = taking.store(Source("hj212", f"MN{n}"), [Value(2, NOW + at, 1)], NOW)
            assert told.is_safe == (n < 3 and at < 2)
    with database.read() as session:
        assert len(session.scalars(select(LegacyStranger)).all()) == 3
        assert len(session.scalars(select(LegacyKept)).all()) == 6


def heard(database: Database, address: str, at_us: int) -> bool:
    source = Source("hj212", address)
    return Intake(database).store(source, [Value(2, at_us, 1)], at_us).is_safe


def listed(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(LegacyStranger.address)))


@pytest.mark.parametrize("bound", ["MOST", "ALL"])
def test_where_there_is_no_room_who_sent_least_and_is_silent_goes(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bound: str
) -> None:
    monkeypatch.setattr(strangers, bound, 4)
    day = strangers.QUIET_US
    number = {"MOST": 11, "ALL": 12}[bound]
    mine = f"010000A8900016F000169D{number}"
    for address, at_us in ((mine, 0), ("often", 1), ("flood 1", 3), ("flood 2", 4)):
        assert heard(database, address, NOW + at_us)
    assert heard(database, "often", NOW + 1)  # the same again
    assert not heard(database, "true", NOW + day)  # what was answered stays for a day
    assert not heard(database, "true", NOW + day - 7)
    rig.bring(database, tmp_path, [rig.line(number, protocol="HJ212", address=mine)])
    for place, address in enumerate(("true", "other")):
        assert heard(database, address, NOW + day + 10 + place)
    assert listed(database) == {mine, "often", "true", "other"}  # of the first it is known whose
    with database.read() as session:
        assert len(session.scalars(select(LegacyKept)).all()) == 4


def test_strangers_of_old_and_those_of_a_peer_are_forgotten(database: Database) -> None:
    old = strangers.OLD_US
    for address, at_us in (("a", 0), ("b", 9)):
        heard(database, address, NOW + at_us)
    with database.begin() as session:
        assert not strangers.waits(session, NOW + old)
        assert strangers.waits(session, NOW + old + 1)
        assert strangers.expire(session, NOW + old + 1) == 1
    assert listed(database) == {"b"}
    source = Source("hj212", "c")
    Intake(database).take([Arrival(source, [Value(2, NOW, 1)], NOW, b"f", "203.0.113.9")])
    with database.begin() as session:
        assert strangers.forget(session, "nobody") == 0
        assert strangers.forget(session, "203.0.113.9") == 1
        assert strangers.forget(session, "b") == 1
        assert session.scalars(select(LegacyKept)).all() == []
    assert listed(database) == set()


def test_the_running_fleet_forgets_strangers_of_old(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address, at_us in (("a", 0), ("b", 1), ("c", 9)):
        heard(database, address, NOW + at_us)
    monkeypatch.setattr(strangers, "_LOOKED", 1)
    monkeypatch.setattr("fleet.upkeep.now_us", lambda: NOW + strangers.OLD_US + 5)
    (tmp_path / "kapok.toml").touch()
    seconds = 0.0
    care = Upkeep(load(tmp_path), database, None, lambda: seconds)  # type: ignore[arg-type]
    left = []
    for seconds in (1.0, 2.0, 3.0, 4.0):  # noqa: B007  of its clock
        care.tick()
        left.append(len(listed(database)))
    assert left == [2, 1, 1, 1]
    monkeypatch.setattr("fleet.upkeep.now_us", lambda: NOW + strangers.OLD_US + 50)
    care.tick()
    assert listed(database) == {"c"}  # it looks once an hour
    seconds += 3601
    care.tick()
    assert listed(database) == set()


def test_a_retired_terminal_brings_no_readings(database: Database) -> None:
    with database.begin() as session:
        session.execute(
            update(Terminal).where(Terminal.imei == rig.imei(1)).values(state="retired")
        )
    told = Intake(database).store(DTU, [Value(GAS, NOW, 1)], NOW)
    assert (told.new, told.kept, told.why) == (0, 1, "not active")


def test_no_source_can_stand_for_a_node_of_ours(database: Database) -> None:
    node_id = "1gntj14d2p"
    with database.begin() as session:
        session.execute(delete(Reading))
        session.add(
            Terminal(id=node_id, kind="node", role="gas-meter", state="active",
                     area_code=rig.AREA, added_us=0, imei=rig.imei(77))
        )  # fmt: skip
    for source in (Source("terminal", node_id), Source("imei", rig.imei(77))):
        assert Intake(database).store(source, [Value(GAS, NOW, 1)], NOW).new == 0
    assert telemetry.LEGACY == 0
    assert readings(database) == []
