"""The registry: what it takes, what it refuses in one line, and how it pages."""

from collections.abc import Callable, Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.registry import operations as registry
from fleet.registry.operations import RegistryError
from fleet.registry.tables import Installation


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = rig.open_database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.begin() as opened:
        registry.add_area(opened, rig.AREA, "Tianhe")
        yield opened


def test_a_new_node_is_active_and_installed_on_an_asset_of_its_own(session: Session) -> None:
    one, two = rig.new_node_id(), rig.new_node_id()
    first = registry.add_node(session, one, "gas-meter", rig.AREA, "riser 3")
    second = registry.add_node(session, two, "lamppost", rig.AREA)
    assert (first.id, first.role, first.state, first.area) == (
        one,
        "gas-meter",
        "active",
        "440106",
    )
    assert first.asset_id is not None
    assert second.asset_id not in (None, first.asset_id)
    assert (first.last_report_us, first.status) == (None, {})
    assert registry.show_node(session, one) == first
    found = registry.standings(session, [one, two, "0000000000"])
    assert {
        node_id: (standing.state, [place.asset_id for place in standing.placements])
        for node_id, standing in found.items()
    } == {one: ("active", [first.asset_id]), two: ("active", [second.asset_id])}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s, n: registry.add_node(s, "1gntj14d2", "drainage", rig.AREA), "no node id"),
        (lambda s, n: registry.add_node(s, "8" * 10, "drainage", rig.AREA), "no node id"),
        (lambda s, n: registry.add_node(s, "1GNTJ14D2P", "drainage", rig.AREA), "no node id"),
        (lambda s, n: registry.add_node(s, n, "toaster", rig.AREA), "gas-meter, drainage"),
        (lambda s, n: registry.add_node(s, n, "drainage", "44"), "kapok area add 44"),
        (lambda s, n: registry.add_node(s, n, "drainage", rig.AREA, "a\nb"), "printable"),
        (lambda s, n: registry.add_node(s, n, "drainage", rig.AREA, "x" * 101), "1 to 100"),
        (registry.show_node, "is not registered"),
        (lambda s, n: registry.set_state(s, n, "revoked"), "is not registered"),
        (lambda s, n: registry.add_area(s, "4", "x"), "2 to 12 digits"),
        (lambda s, n: registry.add_area(s, "４４", "x"), "2 to 12 digits"),
        (lambda s, n: registry.add_area(s, "44\n", "x"), "2 to 12 digits"),
        (lambda s, n: registry.add_area(s, "44", ""), "1 to 100"),
        (lambda s, n: registry.add_area(s, "44", "\x1b[2J"), "printable"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    session: Session, change: Callable[[Session, str], object], says: str
) -> None:
    with pytest.raises(RegistryError, match=says) as refused:
        change(session, rig.new_node_id())
    assert len(str(refused.value).splitlines()) == 1


def test_a_node_is_registered_once(session: Session) -> None:
    node_id = rig.new_node_id()
    registry.add_node(session, node_id, "drainage", rig.AREA)
    with pytest.raises(RegistryError, match="registered already"):
        registry.add_node(session, node_id, "drainage", rig.AREA)


def test_two_open_installations_of_one_terminal_break_a_constraint(database: Database) -> None:
    node_id, other = rig.add_nodes(database, 2)
    with database.read() as session:
        asset_id = registry.show_node(session, other).asset_id
    again = Installation(
        terminal_id=node_id, asset_id=asset_id, from_us=1, open_for=node_id, register_offset=0
    )
    with database.begin() as session:
        session.add(again)
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()


def test_an_area_is_renamed_and_not_doubled(session: Session) -> None:
    registry.add_area(session, rig.AREA, "天河区")
    assert [(a.code, a.name) for a in registry.list_areas(session)] == [(rig.AREA, "天河区")]


def test_lists_are_pages_by_key(database: Database) -> None:
    node_ids = sorted(rig.add_nodes(database, 7))
    with database.read() as session:
        seen: list[str] = []
        while page := registry.list_nodes(session, seen[-1] if seen else "", limit=3):
            assert len(page) <= 3
            seen += [node.id for node in page]
        assert seen == node_ids
    with database.begin() as session:
        for code in ("44", "4401", "4402", "45"):
            registry.add_area(session, code, code)
        assert [a.code for a in registry.list_areas(session, "4401", 2)] == ["440106", "4402"]


def test_a_list_is_never_longer_than_a_page(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PAGE", 2)
    rig.add_nodes(database, 3)
    with database.read() as session:
        assert len(registry.list_nodes(session, limit=10**9)) == 2


def test_lists_select_by_area_prefix_and_role(session: Session) -> None:
    registry.add_area(session, "440107", "Haizhu")
    here, there = rig.new_node_id(), rig.new_node_id()
    registry.add_node(session, here, "drainage", "440106")
    registry.add_node(session, there, "lamppost", "440107")

    def ids(area: str = "", role: str = "") -> list[str]:
        return [node.id for node in registry.list_nodes(session, area=area, role=role)]

    assert ids("4401") == sorted([here, there])
    assert ids("440107") == [there]
    assert ids("4401", "drainage") == [here]
    assert ids("%") == []
    assert ids(role="gas-meter") == []


def test_the_newest_report_and_its_status_are_remembered(session: Session) -> None:
    node_id = rig.new_node_id()
    registry.add_node(session, node_id, "drainage", rig.AREA)
    registry.note_reports(session, {node_id: (rig.NOW_US, {0: 7, 65535: -(1 << 63)})})
    found = registry.show_node(session, node_id)
    assert found.last_report_us == rig.NOW_US
    assert found.status == {"0": 7, "65535": -(1 << 63)}


@pytest.mark.parametrize("state", registry.STATES)
def test_every_state_can_be_set(session: Session, state: str) -> None:
    node_id = rig.new_node_id()
    registry.add_node(session, node_id, "drainage", rig.AREA)
    registry.set_state(session, node_id, state)
    assert registry.show_node(session, node_id).state == state
    with pytest.raises(RegistryError, match="one of "):
        registry.set_state(session, node_id, "asleep")
