"""Desired configuration: layers over a node, patches for what changed, drift until it reports."""

import json
from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from desired_rig import CITY, DISTRICT, OTHER, STREET, Town

from fleet.control import desired, layers
from fleet.control.errors import ControlError
from fleet.control.targets import Target
from fleet.registry.tables import Terminal


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    yield made
    made.close()


def test_the_street_wins_over_the_city_a_group_over_it_and_the_node_over_all(town: Town) -> None:
    node, neighbour = town.add(area=STREET), town.add(area=DISTRICT)
    town.set("area", CITY, report_s=1000, apn="city", awake_s=100, attach_s=100)
    town.set("area", STREET, report_s=2000, apn="street", awake_s=200)
    town.group("pilots", node)
    town.set("group", "pilots", report_s=3000, apn="pilots")
    town.set("node", node.node_id, report_s=4000)
    for one in (node, neighbour):
        one.settle()
    assert node.values == {"report_s": 4000, "apn": "pilots", "awake_s": 200, "attach_s": 100}
    assert neighbour.values == {"report_s": 1000, "apn": "city", "awake_s": 100, "attach_s": 100}
    assert town.drifting() == []


def test_of_two_groups_the_higher_rank_wins(town: Town) -> None:
    node = town.add()
    town.group("aa", node, rank=5)
    town.group("zz", node)
    town.set("group", "aa", apn="aa")
    town.set("group", "zz", apn="zz", awake_s=99)
    node.settle()
    assert node.values == {"apn": "aa", "awake_s": 99}
    town.group("zz", rank=6)
    node.settle()
    assert node.values["apn"] == "zz"


def test_a_layer_speaks_to_the_roles_that_know_its_keys(town: Town) -> None:
    drain, lamp, meter = town.add(), town.add("lamppost"), town.add("gas-meter")
    town.set("area", DISTRICT, lamp_plan=["dusk", 250], litres_per_pulse=100)
    town.set("area", DISTRICT, "gas-meter", report_s=86400)
    for one in (drain, lamp, meter):
        one.settle()
    assert drain.values == {}
    assert lamp.values == {"lamp_plan": ["dusk", 250]}
    assert meter.values == {"litres_per_pulse": 100, "report_s": 86400}


def test_what_is_withdrawn_falls_back_to_the_layer_below_or_the_default(town: Town) -> None:
    node = town.add()
    town.set("area", CITY, report_s=1000)
    town.set("node", node.node_id, report_s=2000, awake_s=99)
    node.settle()
    town.set("node", node.node_id, report_s=None, awake_s=None)
    node.settle()
    assert node.values == {"report_s": 1000}
    town.set("area", CITY, report_s=None)
    assert town.drifting() == [node.node_id]
    node.settle()
    assert (node.values, town.drifting()) == ({}, [])


def test_only_what_changes_is_sent(town: Town) -> None:
    nodes = [town.add() for _ in range(3)]
    elsewhere = town.add(area=OTHER)
    assert town.set("area", DISTRICT, report_s=1000) == (1, 3)
    assert town.set("area", DISTRICT, report_s=1000) == (1, 0)
    town.set("node", nodes[0].node_id, report_s=1000)
    assert town.patches() == 3
    assert town.set("area", DISTRICT, awake_s=99).nodes == 3
    assert town.set("area", CITY, report_s=5000, awake_s=50).nodes == 1, "hidden but for one"
    elsewhere.settle()
    assert elsewhere.values == {"report_s": 5000, "awake_s": 50}


def test_a_node_that_sleeps_through_ten_changes_gets_one_patch(town: Town) -> None:
    node = town.add()
    for n in range(10):
        town.set("area", DISTRICT, report_s=1000 + n, **({"apn": "x"} if n == 3 else {}))
    open_ = "SELECT count(*) FROM downlinks WHERE expires_us IS NULL"
    assert rig.query(town.path, open_) == [(1,)]
    node.report()
    assert node.values == {"report_s": 1009, "apn": "x"}


def test_a_patch_that_may_have_arrived_is_not_taken_back(town: Town) -> None:
    node = town.add()
    town.set("area", DISTRICT, report_s=1000)
    node.report(lose_answer=True)
    town.set("area", DISTRICT, report_s=2000)
    node.report()
    node.settle()
    assert (node.values, town.drifting()) == ({"report_s": 2000}, [])


def test_a_new_node_gets_what_its_area_wants_with_its_first_answer(town: Town) -> None:
    town.set("area", CITY, report_s=1000)
    node = town.add()
    assert town.patches() == 0
    node.report()
    assert node.values == {"report_s": 1000}


def test_a_node_that_moves_gets_what_the_other_area_wants(town: Town) -> None:
    node = town.add()
    town.set("area", DISTRICT, report_s=1000, apn="d")
    town.set("area", OTHER, report_s=2000)
    node.settle()
    with town.database.begin() as session:
        session.get_one(Terminal, node.node_id).area_code = OTHER
    node.settle()
    assert (node.values, town.drifting()) == ({"report_s": 2000}, [])


def test_who_leaves_a_group_loses_what_it_wanted(town: Town) -> None:
    node = town.add()
    town.group("pilots", node)
    town.set("group", "pilots", apn="p")
    node.settle()
    town.leave("pilots", node)
    node.settle()
    assert node.values == {}


def test_a_large_area_is_done_by_and_by(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desired, "STEP", 4)
    nodes = [town.add() for _ in range(10)]
    assert town.set("area", DISTRICT, report_s=1000).nodes == 4
    town.set("area", DISTRICT, report_s=2000)  # from the first one again
    town.steps()
    for node in nodes:
        node.report()
        assert node.values == {"report_s": 2000}
    open_ = "SELECT count(*) FROM downlinks WHERE expires_us IS NULL"
    assert rig.query(town.path, open_) == [(10,)]


def test_a_refusal_names_its_key_and_is_not_sent_again_by_itself(town: Town) -> None:
    node = town.add()
    town.set("area", DISTRICT, apn="bad", awake_s=99)
    node.report(refuse="apn")
    node.settle()
    assert (node.values, town.drifting(), town.patches()) == ({}, [node.node_id], 1)
    with town.database.begin() as session:
        assert desired.differences(session, node.node_id) == {
            "apn": ("bad", None), "awake_s": (99, None),
        }  # fmt: skip
    town.set("area", DISTRICT, apn="good")
    node.settle()
    assert node.values == {"apn": "good"}, "only what changed"
    with town.database.begin() as session:
        assert desired.resend(session, node.node_id) == 1
    node.settle()
    assert (node.values, town.drifting()) == ({"apn": "good", "awake_s": 99}, [])


def test_a_node_that_went_back_by_itself_drifts(town: Town) -> None:
    node = town.add()
    town.set("area", DISTRICT, apn="wrong")
    node.report()
    node.report()
    assert town.drifting() == []
    node.go_back()
    node.report()
    assert (node.values, town.drifting()) == ({}, [node.node_id])
    with town.database.begin() as session:
        desired.resend(session, node.node_id)
    node.settle()
    assert (node.values, town.drifting()) == ({"apn": "wrong"}, [])


def test_every_wrong_key_is_named(town: Town) -> None:
    from fleet.control import drift, wording
    from fleet.control.configuration import configure

    node = town.add()
    town.set("area", DISTRICT, awake_s=99)
    node.settle()
    with town.database.begin() as session:  # by the door that checks nothing
        configure(session, node.node_id, {"awake_s": 1, "report_s": 10**9, "apn": "x"})
        configure(session, node.node_id, {"awake_s": 55})
    node.settle()
    with town.database.read() as session:
        (found,) = drift.list_(session)
        said = wording.told_text([[22, 1], [20, -1]], "en")
        patch = drift.newest(session, [node.node_id])[node.node_id]
    assert (patch.number, patch.state, found.differences) == (3, "unsaid", {"awake_s": (99, 55)})
    assert said == "00000001: too small; ffffffff: the node does not know this key"
    told = rig.query(town.path, "SELECT told, refused FROM downlinks WHERE number = 2")
    ((text, refused),) = told
    with town.database.read():
        assert wording.told_text(json.loads(text), "en") == (
            "awake_s: too small; report_s: too large"
        )
    assert refused


def test_a_patch_that_was_taken_back_is_not_in_force_later_either(town: Town) -> None:
    """The node went back behind two patches; the next one does not bring them into force."""
    from fleet.control.configuration import applied

    node = town.add()
    town.set("node", node.node_id, apn="one")
    node.report()
    node.go_back()
    node.report()
    town.set("node", node.node_id, report_s=7200)
    node.settle()
    with town.database.read() as session:
        assert applied(session, node.node_id).values == {"report_s": 7200} == node.values
    assert town.drifting() == [node.node_id]


def test_a_patch_from_beside_is_drift(town: Town) -> None:
    from fleet.control.configuration import configure

    node = town.add()
    town.set("area", DISTRICT, report_s=1000)
    node.settle()
    with town.database.begin() as session:
        configure(session, node.node_id, {"report_s": 60})
    node.settle()
    assert town.drifting() == [node.node_id]
    with town.database.begin() as session:
        desired.resend(session, node.node_id)
    node.settle()
    assert (node.values, town.drifting()) == ({"report_s": 1000}, [])


def test_a_full_queue_is_tried_again_when_the_node_took_something(town: Town) -> None:
    from fleet.control import operations

    node = town.add()
    with town.database.begin() as session:
        for _ in range(operations.MAX_OPEN):
            operations.enqueue(session, node.node_id, operations.UPDATE, b"x")
    town.set("area", DISTRICT, report_s=1000)
    assert (town.patches(), town.drifting()) == (0, [node.node_id])
    node._handled = 10
    node.report()
    assert town.patches() == 1


def test_many_keys_travel_in_several_patches(town: Town) -> None:
    node = town.add("lamppost")
    plan = [n for hour in range(24) for n in (f"{(hour + 12) % 24:02}:00", 500)]
    town.set("node", node.node_id, lamp_plan=plan, apn="a" * 63, host="h" * 253, awake_s=99)
    town.set("node", node.node_id, bearers=["modem"] * 4, report_s=1000, attach_s=99)
    assert town.patches() > 1
    node.settle()
    assert node.values["lamp_plan"] == plan
    assert (len(node.values), town.drifting()) == (7, [])


def test_versions(town: Town) -> None:
    target = Target("area", DISTRICT)
    assert town.set("area", DISTRICT, report_s=1000).version == 1
    assert town.set("area", DISTRICT, report_s=None).version == 2
    assert town.set("area", DISTRICT, report_s=1000).version == 3
    with town.database.begin() as session:
        assert layers.set_(session, target, {"apn": "x"}, "Li Wei", version=3).version == 4
        with pytest.raises(ControlError, match="at version 4, not 3"):
            layers.set_(session, target, {"apn": "y"}, "Wang Fang", version=3)
        assert layers.show(session, target)[1:] == (4, {"apn": "x", "report_s": 1000})
        assert [(c.version, c.patch, c.person) for c in layers.history(session, target)][-2:] == [
            (3, {"report_s": 1000}, "Li Wei"), (4, {"apn": "x"}, "Li Wei"),
        ]  # fmt: skip
        assert layers.show(session, Target("area", OTHER)).version == 0
        assert [str(shown.target) for shown in layers.list_(session)] == [f"area {DISTRICT}"]
        assert layers.list_(session, after=target) == []


def test_a_role_of_which_there_is_no_node_stands_in_nobodys_way(town: Town) -> None:
    town.add()
    town.set("area", DISTRICT, awake_s=60)  # too short for a survey
    town.add("survey", OTHER)
    with pytest.raises(ControlError, match="for a survey: awake_s is below"):
        town.set("area", OTHER, awake_s=60)


@pytest.mark.parametrize(
    ("kind", "name", "role", "patch", "says"),
    [
        ("area", DISTRICT, "", {}, "nothing to set"),
        ("area", DISTRICT, "", {"leek": 1}, "no such key"),
        ("area", DISTRICT, "", {"pins": {}}, "the board's"),
        ("area", DISTRICT, "", {"report_s": 59}, r"outside 60\.\.604800"),
        ("area", DISTRICT, "", {"report_s": "60"}, "wrong type"),
        ("area", DISTRICT, "", {"report_s": True}, "wrong type"),
        ("area", DISTRICT, "", {"apn": "x" * 64}, "longer than 63"),
        ("area", DISTRICT, "", {"lamp_plan": [1.5, 2]}, "cannot be sent"),
        ("area", DISTRICT, "", {"lamp_plan": [5]}, "pairs"),
        ("area", DISTRICT, "", {"host": None}, "no default"),
        ("area", DISTRICT, "drainage", {"lamp_plan": [0, 5]}, "no such key"),
        ("area", DISTRICT, "", {"low_uv": 3_200_000}, "high_uv is not above low_uv"),
        ("area", DISTRICT, "toaster", {"report_s": 60}, "role"),
        ("area", "9999", "", {"report_s": 60}, "unknown"),
        ("group", "none", "", {"report_s": 60}, "no such group"),
        ("node", "1gntj14d2q", "", {"report_s": 60}, "not registered"),
        ("area", DISTRICT, "", {"door": "post"}, "post"),
    ],
)
def test_what_cannot_be_wanted(
    town: Town, kind: str, name: str, role: str, patch: dict[str, object], says: str
) -> None:
    town.add()
    town.add("lamppost")
    with pytest.raises(ValueError, match=says) as refused, town.database.begin() as session:
        layers.set_(session, Target(kind, name, role), patch, "Li Wei")
    assert "\n" not in str(refused.value)
    assert town.patches() == 0


def test_provisioned_anew_it_gets_all_of_it_again(town: Town) -> None:
    from fleet.control import operations

    node = town.add()
    town.set("area", DISTRICT, report_s=1000)
    node.settle()
    with town.database.begin() as session:
        operations.cancel(session, node.node_id)
    node.values = {}
    node.settle()
    assert (node.values, town.drifting()) == ({"report_s": 1000}, [])
