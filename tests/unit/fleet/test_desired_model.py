"""Layers, groups, moves, lost answers and refusals in any order: what a node has in the end is
what the rule of layers says, written here once more.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from desired_rig import CITY, DISTRICT, OTHER, STREET, Configured, Town
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fleet.control import desired
from fleet.control.checks import check_patch, of_role
from fleet.control.errors import ControlError
from fleet.registry.tables import Terminal
from fleet.schema import ROLES

AREAS = (CITY, DISTRICT, STREET, OTHER)
GROUPS = {"low": 0, "high": 5}
VALUES: dict[str, list[Any]] = {
    "report_s": [None, 3600, 7200], "apn": [None, "a", "b"], "awake_s": [None, 60, 90],
}  # fmt: skip


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    for name, rank in GROUPS.items():
        made.group(name, rank=rank)
    yield made
    made.close()


patch = st.sampled_from([(key, value) for key, values in VALUES.items() for value in values])
step = st.one_of(
    st.tuples(st.just("area"), st.sampled_from(AREAS), patch),
    st.tuples(st.just("group"), st.sampled_from(sorted(GROUPS)), patch),
    st.tuples(st.just("node"), st.just(""), patch),
    st.tuples(st.just("join"), st.sampled_from(sorted(GROUPS)), patch),
    st.tuples(st.just("leave"), st.sampled_from(sorted(GROUPS)), patch),
    st.tuples(st.just("move"), st.sampled_from(AREAS), patch),
    st.tuples(st.just("report"), st.just(""), patch),
    st.tuples(st.just("lost"), st.just(""), patch),
    st.tuples(st.just("refuse"), st.just(""), patch),
)


class Rule:
    """What is wanted, as docs/architecture.md says it."""

    def __init__(self) -> None:
        self.layers: dict[tuple[str, str], dict[str, Any]] = {}
        self.groups: set[str] = set()
        self.area = DISTRICT

    def set(self, kind: str, name: str, key: str, value: Any) -> None:
        self.layers.setdefault((kind, name), {})[key] = value

    def values(self) -> dict[str, Any]:
        over = [("area", area) for area in (CITY, DISTRICT, STREET, OTHER)
                if self.area.startswith(area)]  # fmt: skip
        over += [("group", name) for name in ("low", "high") if name in self.groups]
        found: dict[str, Any] = {}
        for place in [*over, ("node", "")]:
            layer = self.layers.get(place, {})
            found.update({key: value for key, value in layer.items() if value is not None})
        return found


@given(st.lists(step, max_size=25))
@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_node_ends_with_what_the_rule_says(
    town: Town, steps: list[tuple[str, str, tuple[str, Any]]]
) -> None:
    for area in AREAS:  # of the example before
        town.set("area", area, "", **dict.fromkeys(VALUES))
    for group in GROUPS:
        town.set("group", group, "", **dict.fromkeys(VALUES))
    node, rule = town.add(), Rule()
    for action, name, (key, value) in steps:
        _do(town, node, rule, action, name, key, value)
    town.steps()
    node.settle()
    with town.database.begin() as session:
        desired.resend(session, node.node_id)
    node.settle()
    assert node.values == rule.values()
    assert node.node_id not in town.drifting()
    waits = """SELECT 1 FROM downlinks WHERE node_id = ? AND settled_us IS NULL
               AND expires_us IS NULL"""
    assert rig.query(town.path, waits, node.node_id) == []


def _do(
    town: Town, node: Configured, rule: Rule, action: str, name: str, key: str, value: Any
) -> None:
    if action in ("area", "group"):
        town.set(action, name, **{key: value})
        rule.set(action, name, key, value)
    elif action == "node":
        town.set("node", node.node_id, **{key: value})
        rule.set("node", "", key, value)
    elif action == "join":
        town.group(name, node, rank=GROUPS[name])
        rule.groups.add(name)
    elif action == "leave":
        town.leave(name, node)
        rule.groups.discard(name)
    elif action == "move":
        with town.database.begin() as session:
            session.get_one(Terminal, node.node_id).area_code = name
        rule.area = name
    else:
        node.report(lose_answer=action == "lost", refuse=key if action == "refuse" else "")


INTEGERS = [(role, key) for role in ROLES for key in of_role(role) if key.kind == "int"]
OTHERS = [(role, key) for role in ROLES for key in of_role(role) if key.kind != "int"]


@pytest.mark.parametrize(
    ("role", "key"), INTEGERS, ids=[f"{role}-{key.name}" for role, key in INTEGERS]
)
def test_every_bound_of_the_firmware_holds_at_the_fleet(role: str, key: Any) -> None:
    for value in (key.least, key.most):
        check_patch({key.name: value}, [role])
    for value in (key.least - 1, key.most + 1, "1", True, [1], {}, 1.5):
        with pytest.raises(ControlError, match=key.name):
            check_patch({key.name: value}, [role])


@pytest.mark.parametrize(
    ("role", "key"), OTHERS, ids=[f"{role}-{key.name}" for role, key in OTHERS]
)
def test_every_length_of_the_firmware_holds_at_the_fleet(role: str, key: Any) -> None:
    long: Any = {"str": "x" * (key.most + 1), "list": [1] * (key.most + 1)}.get(
        key.kind, {str(n): n for n in range(key.most + 1)}
    )
    for value in (long, 1, True):
        with pytest.raises(ControlError, match=key.name):
            check_patch({key.name: value}, [role])


@pytest.mark.parametrize("role", ROLES)
def test_an_unknown_key_is_refused_for_every_role(role: str) -> None:
    for key in ("nonsense", "node", "role", "modem", "pins"):
        with pytest.raises(ControlError, match=key):
            check_patch({key: 1}, [role])
