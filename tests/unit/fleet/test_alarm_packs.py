"""Rule packs: those that come along are good, and everything else is refused by name."""

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from alarm_rig import AlarmRig
from hypothesis import given
from hypothesis import strategies as st

from fleet.alarms import packs
from fleet.alarms.errors import PackError
from fleet.alarms.pack_file import parse
from fleet.alarms.rules import Missing, Rate, Stuck, Threshold, Together

BUILT_IN = packs.built_in()
GOOD = """
name = "test"
title = { en = "Test", zh = "测试" }
[[rule]]
name = "high"
kind = "threshold"
quantity = "level"
role = "drainage"
above = 1.5
back = 1.2
severity = "critical"
en = "{asset} is at {value}"
zh = "{asset} 水位 {value}"
"""


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AlarmRig:
    return AlarmRig(tmp_path, monkeypatch)


def test_the_example_of_the_manual_is_good() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    blocks = [part for part in page.split("```") if 'name = "river"' in part]
    assert [rule.kind for rule in parse(blocks[0]).rules] == ["river.high"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_packs_are_good(name: str) -> None:
    found = parse(BUILT_IN[name])
    assert found.name == name
    for rule in found.rules:
        assert re.search("[一-\u9fff]", rule.texts["zh"])
        if isinstance(rule, Threshold):
            assert rule.back != rule.limit, "without hysteresis it flaps"
        if isinstance(rule, Rate):
            assert rule.back < rule.change


def test_flood_and_gas_safety_have_every_kind_of_rule() -> None:
    kinds = {type(rule) for name in BUILT_IN for rule in parse(BUILT_IN[name]).rules}
    assert kinds == {Threshold, Rate, Missing, Stuck, Together}
    assert {"flood", "gas-safety"} <= set(BUILT_IN)


def test_values_are_scaled_to_the_wire() -> None:
    (rule,) = parse(GOOD).rules
    assert isinstance(rule, Threshold)
    assert (rule.kind, rule.limit, rule.back, rule.is_above) == ("test.high", 1500, 1200, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("above = 1.5", "above = 1.5005"), "above: a number (m) with up to 3 decimals"),
        (("above = 1.5", "above = true"), "above: a number"),
        (("above = 1.5", "above = inf"), "above: a number"),
        (("above = 1.5", "above = 1e300"), "above: a number"),
        (("above = 1.5", "above = '1.5'"), "above: a number"),
        (("above = 1.5", "above = 1.5\nbelow = 1"), "above or below"),
        (("above = 1.5\nback = 1.2\n", ""), "above or below"),
        (("back = 1.2", "back = 1.6"), "back: on the other side"),
        (("back = 1.2", "bakc = 1.2"), "no such key: 'bakc'"),
        (("back = 1.2", "hold_s = -1"), "hold_s: 0 to"),
        (("back = 1.2", "hold_s = 1.0"), "hold_s: a whole number"),
        (('quantity = "level"', 'quantity = "depth"'), "quantity"),
        (('quantity = "level"', 'quantity = "900"'), "not one that assets have"),
        (('quantity = "level"', ""), "quantity: is missing"),
        (('role = "drainage"', 'role = "submarine"'), "role: 'submarine'"),
        (('kind = "threshold"', 'kind = "magic"'), "kind: 'magic'"),
        (('severity = "critical"', 'severity = "fatal"'), "severity: 'fatal'"),
        (('name = "high"', 'name = "High"'), "name: 'High'"),
        (('name = "high"', 'name = "a-name-that-is-too-long"'), "name:"),
        (('name = "test"', 'name = "UPPER"'), "name: 'UPPER'"),
        (('zh = "{asset} 水位 {value}"', 'zh = "{asset}"'), "en and zh name different"),
        (('zh = "{asset} 水位 {value}"', ""), "zh: is missing"),
        (('en = "{asset} is', 'en = "{asset.__class__} is'), "en: {names} are of"),
        (('en = "{asset} is', 'en = "{asset} {'), "en: {names} are of"),
        (('en = "{asset} is', 'en = "a\\nb {asset} is'), "en: 1 to 400 printable"),
        (('title = { en = "Test", zh = "测试" }', "title = 7"), "title: a table"),
        (('title = { en = "Test", zh = "测试" }', ""), "title: is missing"),
        (("[[rule]]", "[rule]"), "rule: a list"),
        (("[[rule]]", "color = 1\n[[rule]]"), "no such key: 'color'"),
        (("back = 1.2", "qualities = []"), "qualities: not empty"),
        (("back = 1.2", 'qualities = ["bad"]'), "qualities: of good"),
        (("name =", "name ="), None),
    ],
)  # fmt: skip
def test_what_is_not_good_is_refused_by_name(change: tuple[str, str], says: str | None) -> None:
    text = GOOD.replace(*change)
    if says is None:
        parse(text)
        return
    assert text != GOOD
    with pytest.raises(PackError) as caught:
        parse(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def rule_of(**keys: object) -> str:
    """GOOD with another rule of these keys."""
    lines = "\n".join(f"{key} = {value}" for key, value in keys.items())
    return f'{GOOD}[[rule]]\nname = "other"\nseverity = "notice"\nen = "x"\nzh = "字"\n{lines}\n'


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"kind": '"rate"', "rise": 0, "over_s": 60, "quantity": '"level"'}, "back: from 0"),
        ({"kind": '"rate"', "rise": 1, "fall": 1, "over_s": 60, "quantity": '"level"'}, "rise or"),
        ({"kind": '"rate"', "rise": 1, "back": 2, "over_s": 60, "quantity": '"level"'}, "back"),
        ({"kind": '"rate"', "rise": 1, "over_s": 0, "quantity": '"level"'}, "over_s: 1 to"),
        ({"kind": '"missing"', "after_s": 5}, "after_s: 60 to"),
        ({"kind": '"stuck"', "quantity": '"level"', "for_s": 60, "least": 1}, "least: 2 to"),
        ({"kind": '"stuck"', "quantity": '"level"', "for_s": 60, "least": 2, "besides": '["a"]'},
         "besides"),
        ({"kind": '"together"', "of": '["burglar"]', "least": 2, "share": 50}, "of: no such kind"),
        ({"kind": '"together"', "of": '["test.other"]', "least": 2, "share": 50}, "of: no such"),
        ({"kind": '"together"', "of": "[]", "least": 2, "share": 50}, "of: a list"),
        ({"kind": '"together"', "of": '["leak"]', "least": 2, "share": 50, "back_share": 60},
         "back_share: 1 to 50"),
        ({"kind": '"together"', "of": '["leak"]', "least": 2, "share": 101}, "share: 1 to 100"),
    ],
)  # fmt: skip
def test_rules_of_every_kind_have_bounds(keys: dict[str, object], says: str) -> None:
    with pytest.raises(PackError) as caught:
        parse(rule_of(role='"drainage"', **keys))
    assert says in str(caught.value)


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(PackError, match="two rules"):
        parse(GOOD + GOOD[GOOD.index("[[rule]]") :])


@given(st.text(max_size=200))
def test_any_text_is_a_pack_or_refused(text: str) -> None:
    with pytest.raises(PackError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


JSON_LIKE: Any = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(
    st.sampled_from(["name", "kind", "quantity", "role", "above", "back", "severity", "en"]),
    JSON_LIKE,
)
def test_any_value_of_any_key_is_taken_or_refused(key: str, value: Any) -> None:
    def toml(each: Any) -> str:
        if isinstance(each, bool):
            return "true" if each else "false"
        if isinstance(each, list):
            return f"[{', '.join(map(toml, each))}]"
        if isinstance(each, int):
            return str(each)
        safe = "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in each if ord(c) < 0xD800)
        return f'"{safe}"'

    lines = [
        f"{key} = {toml(value)}" if line.startswith(f"{key} =") and n > 3 else line
        for n, line in enumerate(GOOD.splitlines())
    ]
    with contextlib.suppress(PackError):
        parse("\n".join(lines))


def test_a_pack_is_added_replaced_switched_and_removed(rig: AlarmRig) -> None:
    def rules() -> set[str]:
        with rig.database.read() as session:
            return {kind for kind in packs.in_force(session).by_kind if kind.startswith("test.")}

    def do(act: Any, *arguments: Any) -> None:
        with rig.database.begin() as session:
            act(session, *arguments, "Li Wei")

    assert rules() == set()
    do(packs.add, GOOD)
    assert rules() == {"test.high"}
    do(packs.switch, "test", False)
    assert rules() == set()
    do(packs.switch, "test", True)
    do(packs.add, GOOD.replace('"high"', '"higher"'))
    assert rules() == {"test.higher"}
    do(packs.remove, "test")
    assert rules() == set()
    for act in (packs.remove, packs.text_of):
        with pytest.raises(PackError, match="no rule pack"), rig.database.begin() as session:
            act(session, "test", *(["Li Wei"] if act is packs.remove else []))
    with pytest.raises(PackError, match="no rule pack"):
        do(packs.switch, "test", True)


def test_a_built_in_pack_is_switched_off_and_its_alarms_end(rig: AlarmRig) -> None:
    (node,) = rig.nodes("drainage")
    rig.say(node, (0, [(18, 90)]))
    assert rig.kinds() == ["flood.h2s"]
    with rig.database.begin() as session:
        packs.switch(session, "flood", False, "Li Wei")
    assert rig.kinds() == []
    (over,) = rig.alarms(history=True)
    assert over.cleared_by == "Li Wei"
    rig.say(node, (60, [(18, 90)]))
    assert rig.kinds() == []
    with rig.database.begin() as session:
        listed = {each.name: each for each in packs.list_(session, "zh")}
        assert (listed["flood"].is_on, listed["flood"].origin) == (False, "built-in")
        packs.remove(session, "flood", "Li Wei")
    rig.say(node, (120, [(18, 90)]))
    assert rig.kinds() == ["flood.h2s"]


def test_a_replaced_pack_has_its_own_limits(rig: AlarmRig) -> None:
    (node,) = rig.nodes("drainage")
    with rig.database.begin() as session:
        packs.add(session, BUILT_IN["flood"].replace("above = 7", "above = 20"), "Li Wei")
        (flood,) = [each for each in packs.list_(session, "en") if each.name == "flood"]
        assert (flood.origin, flood.changed_by) == ("replaced", "Li Wei")
    rig.say(node, (0, [(18, 199)]))
    assert rig.kinds() == []
    rig.say(node, (60, [(18, 200)]))
    assert rig.kinds() == ["flood.h2s"]
