"""Acts: a node at an asset, a node in another's place; each reading goes where its time says."""

import contextlib
from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.registry import acts, installations, places, registers, sims
from fleet.registry import operations as registry
from fleet.registry.acts import Install, Swap
from fleet.registry.labels import LabelText
from fleet.registry.operations import Placement, RegistryError
from fleet.registry.tables import Asset, FieldAct
from fleet.uplink.ingest import Ingest
from fleet.wire import report

T0 = rig.NOW_US - 3600 * 1_000_000
MINUTE = 60 * 1_000_000


def at(minutes: int) -> int:
    return T0 + minutes * MINUTE


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "now_us", lambda: at(0))
    monkeypatch.setattr(installations, "now_us", lambda: at(600))


def install(node_id: str, asset: str, minutes: int = 1, **more: Any) -> Install:
    return Install(acts.new_id(), at(minutes), "Chen", LabelText(node_id), asset, **more)


def swap(old: str, new: str, minutes: int = 9, before: str = "", after: str = "") -> Swap:
    return Swap(acts.new_id(), at(minutes), "Chen", LabelText(old), LabelText(new), before, after)


def do(database: Database, act: acts.Act) -> installations.Taken:
    with database.begin() as session:
        return installations.take_in(session, act)


def refused(database: Database, act: acts.Act) -> str:
    before = rig.query(_path(database), "SELECT * FROM installations ORDER BY id")
    with pytest.raises(RegistryError) as error:
        do(database, act)
    assert rig.query(_path(database), "SELECT * FROM installations ORDER BY id") == before
    assert "\n" not in str(error.value)
    return str(error.value)


def _path(database: Database) -> Path:
    return Path(str(database.engine.url.database))


def meters(database: Database, count: int) -> list[str]:
    return rig.add_nodes(database, count, "gas-meter")


def reading(node_id: str, sequence: int, minutes: int, value: int, quantity: int = 1) -> Any:
    time_s = at(minutes) // 1_000_000
    body = report.encode_body(time_s, report.GOOD, [(quantity, value)])
    return rig.message(node_id, report.encode(7, time_s, [(sequence, body)], {}))


def series(database: Database, asset_id: int) -> list[tuple[str, int]]:
    return rig.query(
        _path(database),
        "SELECT terminal_id, value FROM readings WHERE asset_id = ? ORDER BY time_us, id",
        asset_id,
    )


def test_a_node_leaves_the_asset_that_it_was_born_with(database: Database) -> None:
    (node_id,) = meters(database, 1)
    taken = do(
        database,
        install(node_id, "Meter 4711", latitude_e7=231291000, longitude_e7=1132644000,
                photo="a.jpg", photo_sha256="0" * 64, address="1 Tianhe Rd"),
    )  # fmt: skip
    with database.read() as session:
        assert registry.show_node(session, node_id).asset_id == taken.asset_id
        asset = session.get_one(Asset, taken.asset_id)
        assert (asset.name, asset.kind, asset.latitude_e7) == (
            "Meter 4711",
            "gas-meter",
            231291000,
        )
        assert (asset.photo, asset.address) == ("a.jpg", "1 Tianhe Rd")
    again = do(database, install(node_id, "Meter 4711", 2))
    assert again.asset_id == taken.asset_id
    assert "already" in again.said


def test_an_act_is_done_once_for_ever(database: Database) -> None:
    node_id, other = meters(database, 2)
    act = install(node_id, "Meter 1")
    first = do(database, act)
    before = rig.query(_path(database), "SELECT * FROM installations")
    again = do(database, act)
    assert again.repeated
    assert again.asset_id == first.asset_id
    assert rig.query(_path(database), "SELECT * FROM installations") == before
    assert "copied id" in refused(database, act._replace(label=LabelText(other)))


def test_sabotage_without_the_uuid_a_replay_moves_the_node_back(database: Database) -> None:
    (node_id,) = meters(database, 1)
    first = install(node_id, "Meter 1", 1)
    do(database, first)
    do(database, install(node_id, "Meter 2", 5, move=True))
    assert do(database, first).repeated
    rig.empty(database, FieldAct)  # the guard is off
    text = refused(database, first)
    assert "--move" in text  # another guard holds, and says so
    moved = do(database, first._replace(move=True, at_us=at(6)))
    assert not moved.repeated


def test_installed_elsewhere_is_refused_unless_it_moves(database: Database) -> None:
    (node_id,) = meters(database, 1)
    one = do(database, install(node_id, "Meter 1", 1))
    assert "--move" in refused(database, install(node_id, "Meter 2", 5))
    assert "after this act" in refused(database, install(node_id, "Meter 2", 0, move=True))
    two = do(database, install(node_id, "Meter 2", 5, move=True))
    rows = rig.query(
        _path(database), "SELECT asset_id, from_us, to_us FROM installations ORDER BY id"
    )
    assert rows[1:] == [(one.asset_id, at(1), at(5)), (two.asset_id, at(5), None)]


def test_an_asset_has_one_node(database: Database) -> None:
    node_id, other = meters(database, 2)
    do(database, install(node_id, "Meter 1"))
    assert f"has node {node_id}: kapok swap" in refused(database, install(other, "Meter 1"))


def test_assets_by_name_by_id_and_in_doubt(database: Database) -> None:
    node_id, other, third = meters(database, 3)
    taken = do(database, install(node_id, "4711"))
    do(database, install(node_id, "Meter 2", 5, move=True))
    assert do(database, install(other, f"id:{taken.asset_id}")).asset_id == taken.asset_id
    assert "no asset id:999" in refused(database, install(third, "id:999"))
    assert "no asset id:" in refused(database, install(third, "id:" + "9" * 400))
    assert "has this id" in refused(database, install(third, str(taken.asset_id)))
    assert "area '9' is unknown" in refused(database, install(third, "x", area="9"))
    (lamp,) = rig.add_nodes(database, 1, "lamppost")
    assert "is a gas-meter" in refused(database, install(lamp, "4711"))


def test_a_node_takes_the_area_of_its_place(database: Database) -> None:
    (node_id,) = meters(database, 1)
    with database.begin() as session:
        registry.add_area(session, "440107", "Haizhu")
    do(database, install(node_id, "Meter 1", area="440107"))
    with database.read() as session:
        assert registry.show_node(session, node_id).area == "440107"


@pytest.mark.parametrize("state", ["revoked", "quarantined", "retired"])
def test_attack_a_node_that_is_barred_is_not_installed(database: Database, state: str) -> None:
    node_id, other = meters(database, 2)
    with database.begin() as session:
        registry.set_state(session, node_id, state)
    assert state in refused(database, install(node_id, "Meter 1"))
    assert state in refused(database, swap(other, node_id, 9, "1", "0"))


def test_attack_a_label_of_another_sim(database: Database) -> None:
    node_id, other = meters(database, 2)
    with database.begin() as session:
        sims.set_sim(session, node_id, "490154203237518", "89860412345678901234")
    told = install(node_id, "Meter 1")._replace(label=LabelText(node_id, "867997041234567"))
    assert "print it again" in refused(database, told)
    stolen = install(other, "Meter 1")._replace(label=LabelText(other, "490154203237518"))
    assert f"in node {node_id}" in refused(database, stolen)
    with database.read() as session:
        assert sims.sim_of(session, other) == ("", "")


def test_an_unknown_node_waits_for_its_registration(database: Database) -> None:
    assert "provision it" in refused(database, install("0000000001", "Meter 1"))


def test_acts_of_the_future_are_refused(database: Database) -> None:
    (node_id,) = meters(database, 1)
    assert "clock" in refused(database, install(node_id, "Meter 1", 700))


def test_a_node_that_is_known_later_than_it_was_installed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline: installed in the basement at 1, first contact at 30, the queue replayed later."""
    monkeypatch.setattr(registry, "now_us", lambda: at(30))
    (node_id,) = meters(database, 1)
    taken = do(database, install(node_id, "Meter 1", 1))
    Ingest(database).process([reading(node_id, n, m, n) for n, m in ((1, 0), (2, 5), (3, 40))])
    assert [value for _, value in series(database, taken.asset_id)] == [1, 2, 3]


def test_a_series_goes_on_over_two_swaps(database: Database) -> None:
    one, two, three = meters(database, 3)
    asset_id = do(database, install(one, "Meter 1", 1)).asset_id
    ingest = Ingest(database)
    ingest.process([reading(one, 1, 5, 1_234_000)])
    do(database, swap(one, two, 10, "1234.567", "0.012"))
    ingest.process([reading(two, 1, 15, 12 + 433)])
    do(database, swap(two, three, 20, "0.500", "7"))
    ingest.process([reading(three, 1, 25, 7_100), reading(three, 2, 26, 5, quantity=100)])
    assert series(database, asset_id) == [
        (one, 1_234_000), (two, 1_235_000), (three, 1_235_155), (three, 5),
    ]  # fmt: skip


def test_sabotage_without_the_offset_the_series_falls(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = meters(database, 2)
    asset_id = do(database, install(one, "Meter 1", 1)).asset_id
    ingest = Ingest(database)
    ingest.process([reading(one, 1, 5, 1_234_000)])
    do(database, swap(one, two, 10, "1234.567", "0"))
    monkeypatch.setattr(registers, "REGISTERS", frozenset())
    ingest.process([reading(two, 1, 15, 433)])
    values = [value for _, value in series(database, asset_id)]
    assert values != sorted(values)


def test_records_that_come_late_go_to_the_asset_of_their_time(database: Database) -> None:
    one, two = meters(database, 2)
    first = do(database, install(one, "Meter 1", 1)).asset_id
    do(database, swap(one, two, 10, "5", "0"))
    second = do(database, install(one, "Meter 2", 20)).asset_id
    outcomes = Ingest(database).process(
        [reading(one, 1, 5, 4_000), reading(one, 2, 15, 4_500), reading(one, 3, 25, 9_000)]
    )
    assert rig.kinds(outcomes) == ["stored"] * 3
    assert series(database, first) == [(one, 4_000)]
    assert series(database, second) == [(one, 4_500), (one, 9_000)]


def test_what_a_node_measures_at_no_asset_gets_no_receipt(database: Database) -> None:
    one, two = meters(database, 2)
    asset_id = do(database, install(one, "Meter 1", 1)).asset_id
    do(database, swap(one, two, 10, "5", "0"))
    ingest = Ingest(database)
    outcomes = ingest.process([reading(one, 1, 5, 4_000), reading(one, 2, 15, 4_500)])
    assert rig.kinds(outcomes) == ["stored", "refused"]
    assert rig.covered(outcomes[0].receipt) == {(7, 1)}
    assert outcomes[1].receipt is None
    assert series(database, asset_id) == [(one, 4_000)]


def test_attack_the_greatest_register_does_not_stop_the_ingest(database: Database) -> None:
    one, two = meters(database, 2)
    asset_id = do(database, install(one, "Meter 1", 1)).asset_id
    do(database, swap(one, two, 10, "999999999", "0"))
    greatest = (1 << 63) - 1
    outcomes = Ingest(database).process([reading(two, 1, 15, greatest), reading(two, 2, 16, 0)])
    assert rig.kinds(outcomes) == ["stored", "stored"]
    assert [value for _, value in series(database, asset_id)] == [greatest, 999_999_999_000]


def test_swaps_that_are_refused(database: Database) -> None:
    one, two, three = meters(database, 3)
    (lamp,) = rig.add_nodes(database, 1, "lamppost")
    do(database, install(one, "Meter 1", 1))
    do(database, install(three, "Meter 3", 1))
    assert "scan old and new" in refused(database, swap(one, one))
    assert "has a register" in refused(database, swap(one, two))
    assert "is a lamppost" in refused(database, swap(one, lamp, 9, "1", "0"))
    assert "--move" in refused(database, swap(one, three, 9, "1", "0"))
    assert "after this swap" in refused(database, swap(one, two, 0, "1", "0"))
    assert "decimals" in refused(database, swap(one, two, 9, "1.2345", "0"))
    do(database, swap(one, two, 9, "1", "0"))
    assert "installed nowhere" in refused(database, swap(one, two, 10, "1", "0"))


def test_a_swap_of_lampposts_has_no_register(database: Database) -> None:
    one, two = rig.add_nodes(database, 2, "lamppost")
    assert "no register" in refused(database, swap(one, two, 9, "1", "0"))
    do(database, swap(one, two))


def test_a_sim_is_in_one_node(database: Database) -> None:
    one, two = meters(database, 2)

    def put(session: Session, node_id: str) -> tuple[str, str]:
        return sims.set_sim(session, node_id, "490154203237518", "89860412345678901234")

    with database.begin() as session:
        put(session, one)
        put(session, one)  # once more is nothing new
        with pytest.raises(RegistryError, match=f"in node {one}: kapok node sim {one} --forget"):
            put(session, two)
        sims.forget_sim(session, one)
        assert put(session, two) == ("490154203237518", "89860412345678901234")
        with pytest.raises(RegistryError, match="15 digits"):
            sims.set_sim(session, two, imei="4" * 16)


acts_of_all_kinds = st.one_of(
    st.builds(
        Install, st.uuids().map(str), st.integers(0, 1 << 53), st.just("Chen"),
        st.just(LabelText("1gntj14d2p")), st.sampled_from(["Meter 1", "id:7", "表 1"]),
        st.just("440106"), st.integers(-900_000_000, 900_000_000), st.integers(-9, 9),
        st.just("a.jpg"), st.just("0" * 64), st.just(""), st.booleans(),
    ),
    st.builds(
        Swap, st.uuids().map(str), st.integers(0, 1 << 53), st.just("Chen"),
        st.just(LabelText("1gntj14d2p")), st.just(LabelText("1gntj14d2q")), st.just("1.5"),
        st.just("0"),
    ),
)  # fmt: skip


@given(acts_of_all_kinds)
def test_an_act_comes_back_from_its_line(act: acts.Act) -> None:
    assert acts.decode(acts.encode(act).encode()) == act


@given(acts_of_all_kinds, st.data())
def test_a_damaged_line_is_refused_or_another_act(act: acts.Act, data: st.DataObject) -> None:
    raw = bytearray(acts.encode(act).encode())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(RegistryError):
        found = acts.decode(bytes(raw))
        assert acts.decode(acts.encode(found).encode()) == found


@given(st.binary(max_size=300))
def test_any_other_line_is_refused(raw: bytes) -> None:
    with pytest.raises(RegistryError):
        acts.decode(raw)


@given(st.integers(-900_000_000, 900_000_000), st.integers(-1_800_000_000, 1_800_000_000))
def test_a_position_comes_back(lat: int, lon: int) -> None:
    assert places.position(places.written(lat), places.written(lon)) == (lat, lon)


def test_positions_that_are_mistakes() -> None:
    assert places.hint(231291000, 1132644000) == ""
    assert places.hint(*places.position("51.5", "-0.1")) == ""
    assert places.hint(*places.position("80.5", "45.1")).endswith("swapped?")
    with pytest.raises(RegistryError, match=r"swapped\? --lat 23.1291 --lon 113.2644"):
        places.position("113.2644", "23.1291")
    for lat, lon in (("91", "181"), ("1e3", "0"), ("nan", "0"), ("", "0"), ("0", "180.1")):
        with pytest.raises(RegistryError):
            places.position(lat, lon)


def test_placements_and_times() -> None:
    open_ended = registry.Standing("active", (Placement(10, 20, 1, 0), Placement(30, None, 2, 5)))
    assert [getattr(open_ended.placed(t), "asset_id", None) for t in (5, 10, 19, 20, 29, 30)] == [
        2, 1, 1, 2, 2, 2,
    ]  # fmt: skip
    ended = registry.Standing("active", (Placement(10, 20, 1, 0),))
    assert [getattr(ended.placed(t), "asset_id", None) for t in (5, 15, 20)] == [None, 1, None]
    assert registry.Standing("active", ()).placed(5) is None
