"""A dark street is one alarm; maintenance tells nobody until its end. Nothing is ever dropped."""

from pathlib import Path

import pytest
from alarm_rig import EVENT, START, STREET, AlarmRig
from sqlalchemy import text

from fleet.alarms import acts, channels, operations, outbox, silence
from fleet.alarms.errors import AlarmError
from fleet.identity.wrapping import FileKey
from fleet.registry import whereabouts
from fleet.registry.operations import RegistryError

POWER, LEAK, LEVEL_HIGH, DOOR = 45, 1, 20, 43


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AlarmRig:
    made = AlarmRig(tmp_path, monkeypatch)
    key = FileKey(tmp_path / "key", bytes(32))
    with made.database.begin() as session:
        channels.add(session, key, channels.New("duty", "mail", "duty@example.org"), "Li Wei")
    return made


def dark(rig: AlarmRig, nodes: list[str], value: int = 1) -> None:
    """All of these lose their mains, or have it again, in one batch."""
    record = (int(rig.now), [(EVENT + POWER, value)])
    rig.deliver(*[(node, rig.payload(node, [record])) for node in nodes])


def test_a_dark_street_is_one_alarm_and_its_children_are_kept(rig: AlarmRig) -> None:
    nodes = rig.nodes("lamppost", 10)
    dark(rig, nodes[:5])
    assert rig.kinds() == ["power-lost"] * 5
    rig.now = 20
    dark(rig, nodes[5:7])
    (parent,) = rig.alarms()
    assert (parent.kind, parent.subject, parent.severity) == (
        "lighting.street-dark", STREET, "critical",
    )  # fmt: skip
    assert (parent.detail["affected"], parent.detail["total"]) == (7, 10)
    assert rig.kinds(silenced=True).count("power-lost") == 7
    assert {each.silenced_by for each in rig.alarms(silenced=True)} == {
        "", f"alarm {parent.id}",
    }  # fmt: skip
    assert rig.outbox("queued") == [("duty", "raised", "queued")], "one message, of the street"
    assert len(rig.outbox("withdrawn")) == 7
    rig.now = 40
    dark(rig, nodes[7:8])
    assert len(rig.alarms()) == 1, "one more child"
    assert rig.outbox("queued") == [("duty", "raised", "queued")]


def test_sabotage_without_the_parent_every_lamp_is_told(
    rig: AlarmRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "adopt", lambda *_: 0)
    dark(rig, rig.nodes("lamppost", 10))
    assert len(rig.outbox("queued")) == 11


def test_when_it_is_light_again_what_stays_dark_is_told(rig: AlarmRig) -> None:
    nodes = rig.nodes("lamppost", 10)
    dark(rig, nodes[:8])
    rig.now = 3600
    dark(rig, nodes[:5], 0)
    assert rig.kinds() == ["lighting.street-dark"], "3 of 10 are 30 %: not yet below"
    dark(rig, nodes[5:6], 0)
    assert rig.kinds() == ["power-lost"] * 2
    (one, two) = rig.alarms()
    with rig.database.read() as session:
        assert [act.act for act in acts.of(session, one.id)] == ["silenced", "shown"]
    assert two.silenced_by == ""
    events = [event for _, event, _ in rig.outbox("queued")]
    assert events == ["raised", "cleared", "raised", "raised"]


def test_children_that_end_under_their_parent_are_never_told(rig: AlarmRig) -> None:
    nodes = rig.nodes("lamppost", 6)
    dark(rig, nodes)
    rig.now = 600
    dark(rig, nodes, 0)
    assert rig.alarms(silenced=True) == []
    assert [event for _, event, _ in rig.outbox("queued")] == ["raised", "cleared"]


def test_another_street_and_a_small_one_are_counted_by_themselves(rig: AlarmRig) -> None:
    dark(rig, rig.nodes("lamppost", 4, "440106002"))
    dark(rig, rig.nodes("lamppost", 4, "440106003"))
    rig.nodes("lamppost", 100, "4401060039")
    assert rig.kinds() == ["power-lost"] * 8


def test_a_parent_that_a_person_closes_shows_its_children(rig: AlarmRig) -> None:
    dark(rig, rig.nodes("lamppost", 5))
    (parent,) = rig.alarms()
    with rig.database.begin() as session:
        operations.clear_by_id(session, parent.id, "Li Wei")
    assert rig.kinds() == ["power-lost"] * 5


def test_silent_lamps_are_dark_lamps(rig: AlarmRig) -> None:
    nodes = rig.nodes("lamppost", 6)
    for node in nodes:
        rig.say(node, (0, [(3, 1)]))
    rig.now = 86400
    rig.tick()
    assert rig.kinds() == ["lighting.street-dark"]


def test_a_batch_of_a_street_is_counted_once(rig: AlarmRig) -> None:
    from sqlalchemy import event

    nodes = rig.nodes("lamppost", 50)
    counted: list[str] = []

    def note(_c: object, _cur: object, statement: str, *_more: object) -> None:
        if "distinct" in statement.lower():
            counted.append(statement)

    event.listen(rig.database.engine, "before_cursor_execute", note)
    dark(rig, nodes)
    assert len(counted) == 3, "once for each rule of packs, not for each lamp"


def begin(rig: AlarmRig, scope: str, target: str, hours: float = 1) -> int:
    with rig.database.begin() as session:
        until = int((START + rig.now + hours * 3600) * 1_000_000)
        return silence.start(session, scope, target, until, "a test", "Li Wei")


@pytest.mark.parametrize("scope", ["node", "asset", "area"])
def test_maintenance_keeps_alarms_and_tells_them_at_its_end(rig: AlarmRig, scope: str) -> None:
    (node,) = rig.nodes("lamppost")
    begin(rig, scope, {"node": node, "asset": str(rig.asset(node)), "area": "440106001"}[scope])
    rig.say(node, (0, [(EVENT + DOOR, 1)]))
    assert rig.alarms() == []
    (kept,) = rig.alarms(silenced=True)
    assert (kept.kind, kept.silenced_by) == ("door", "maintenance 1")
    assert rig.outbox() == []
    rig.now = 3601
    rig.tick()
    assert rig.kinds() == ["door"]
    assert rig.outbox() == [("duty", "raised", "queued")]


def test_sabotage_without_the_look_for_maintenance_it_is_told(
    rig: AlarmRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "covering", lambda *_: None)
    (node,) = rig.nodes("lamppost")
    begin(rig, "node", node)
    rig.say(node, (0, [(EVENT + DOOR, 1)]))
    assert rig.outbox() == [("duty", "raised", "queued")]


def test_what_ended_within_maintenance_is_never_told(rig: AlarmRig) -> None:
    (node,) = rig.nodes("lamppost")
    begin(rig, "node", node)
    rig.say(node, (0, [(EVENT + DOOR, 1)]))
    rig.now = 60
    rig.say(node, (60, [(EVENT + DOOR, 0)]))
    rig.now = 3601
    rig.tick()
    assert (rig.alarms(), rig.outbox()) == ([], [])
    assert len(rig.alarms(history=True, silenced=True)) == 1


def test_danger_is_told_through_maintenance_of_an_area_not_of_its_own_node(rig: AlarmRig) -> None:
    one, two = rig.nodes("gas-meter", 2)
    begin(rig, "area", STREET)
    begin(rig, "node", two)
    for node in (one, two):
        rig.say(node, (0, [(EVENT + LEAK, 1)]))
    assert [each.node for each in rig.alarms()] == [one]


def test_maintenance_of_one_place_is_not_that_of_another(rig: AlarmRig) -> None:
    one, two = rig.nodes("lamppost", 2)
    (other,) = rig.nodes("lamppost", 1, "440107001")
    begin(rig, "node", one)
    begin(rig, "area", "440107001")
    for node in (one, two, other):
        rig.say(node, (0, [(EVENT + DOOR, 1)]))
    assert [each.node for each in rig.alarms()] == [two]


def test_it_takes_what_is_open_already_and_gives_it_back(rig: AlarmRig) -> None:
    (node,) = rig.nodes("lamppost")
    rig.say(node, (0, [(EVENT + DOOR, 1)]))
    number = begin(rig, "area", "440106001")
    assert rig.alarms() == []
    assert rig.outbox() == [("duty", "raised", "withdrawn")]
    with rig.database.begin() as session:
        silence.end(session, number, "Wang Fang")
    assert rig.kinds() == ["door"]
    with rig.database.read() as session:
        assert silence.list_(session) == []
        assert silence.list_(session, history=True)[0].ended_by == "Wang Fang"


def test_under_two_maintenances_it_is_told_after_the_last(rig: AlarmRig) -> None:
    (node,) = rig.nodes("lamppost")
    begin(rig, "node", node, 1)
    begin(rig, "area", STREET, 2)
    rig.say(node, (0, [(EVENT + DOOR, 1)]))
    rig.now = 3601
    rig.tick()
    assert rig.alarms() == []
    rig.now = 7201
    rig.tick()
    assert rig.kinds() == ["door"]


def test_a_street_under_maintenance_still_says_that_it_is_dark(rig: AlarmRig) -> None:
    nodes = rig.nodes("lamppost", 5)
    begin(rig, "area", STREET)
    dark(rig, nodes)
    assert rig.kinds() == ["lighting.street-dark"], "critical: somebody must know"


REFUSED: list[tuple[str, str, float, str]] = [
    ("planet", "1", 1, "x"), ("asset", "99", 1, "x"), ("asset", "x", 1, "x"),
    ("area", "999999", 1, "x"), ("node", "1gntj14d2p", 1, "x"), ("area", STREET, -1, "x"),
    ("area", STREET, 91 * 24, "x"), ("area", STREET, 1, ""), ("area", STREET, 1, "a\nb"),
]  # fmt: skip


def test_refusals(rig: AlarmRig) -> None:
    rig.nodes("lamppost")
    for scope, target, hours, reason in REFUSED:
        until = int((START + hours * 3600) * 1_000_000)
        with pytest.raises((AlarmError, RegistryError)) as caught, rig.database.begin() as session:
            silence.start(session, scope, target, until, reason, "Li Wei")
        assert "\n" not in str(caught.value)


def test_the_end_of_what_is_over_is_refused(rig: AlarmRig) -> None:
    with pytest.raises(AlarmError, match="no such maintenance"), rig.database.begin() as session:
        silence.end(session, 1, "Li Wei")


def test_outbox_counts(rig: AlarmRig) -> None:
    with rig.database.read() as session:
        assert outbox.counts(session) == {"queued": 0, "given-up": 0}


def test_lamps_that_somebody_works_at_make_no_dark_street(rig: AlarmRig) -> None:
    nodes = rig.nodes("lamppost", 6)
    for node in nodes[:2]:
        begin(rig, "node", node)
    dark(rig, nodes)
    assert rig.kinds() == ["power-lost"] * 4, "4 of 6, but less than 5"


def test_children_that_persons_close_end_their_parent(rig: AlarmRig) -> None:
    dark(rig, rig.nodes("lamppost", 5))
    children = [each for each in rig.alarms(silenced=True) if each.kind == "power-lost"]
    for each in children[:3]:
        with rig.database.begin() as session:
            operations.clear_by_id(session, each.id, "Li Wei")
    assert rig.kinds() == ["lighting.street-dark"]
    with rig.database.begin() as session:
        operations.clear_by_id(session, children[3].id, "Li Wei")
    assert rig.kinds() == ["power-lost"]


def test_a_parent_of_no_assets_at_all_ends(rig: AlarmRig, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = rig.nodes("lamppost", 5)
    dark(rig, nodes)
    monkeypatch.setattr(whereabouts, "count_assets", lambda *_: 0)  # they were taken away
    dark(rig, nodes, 0)
    assert rig.alarms(silenced=True) == []


def test_a_street_is_counted_by_the_index_of_what_is_open(rig: AlarmRig) -> None:
    plan = (
        "EXPLAIN QUERY PLAN SELECT count(DISTINCT asset_id) FROM alarms WHERE area_code >= '1' "
        "AND area_code < '1:' AND kind IN ('a', 'b') AND open_key IS NOT NULL"
    )
    with rig.database.read() as session:
        rows = session.execute(text(plan)).all()
    assert "ix_alarms_area" in str(rows)
