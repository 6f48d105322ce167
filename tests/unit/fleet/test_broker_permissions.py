"""The permission rules against a plain model of MQTT's matching, and Mosquitto's form of them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.broker.errors import BrokerError
from fleet.broker.mosquitto import MosquittoSettings, acl, configuration, render
from fleet.broker.permissions import Action, allowed, rules_of

NODE, OTHER = "1gntj14d2p", "1gntj14d2q"
ROOT = Path(__file__).parents[3]

_level = st.sampled_from(
    ["k1", NODE, OTHER, "fleet", "up", "down", "report", "+", "#", "", "..", "$SYS"]
)
_topic = st.lists(_level, min_size=1, max_size=6).map("/".join)
_cn = st.sampled_from([NODE, OTHER, "fleet", "", "#", "+", "admin", NODE.upper()])
_any = st.one_of(_topic, st.text(max_size=40))


def matches(topic_filter: str, name: str) -> bool:
    """MQTT 3.1.1, section 4.7, one level at a time."""
    wide, narrow = topic_filter.split("/"), name.split("/")
    if wide[0] == "#":
        return True
    if narrow[0] != wide[0] and wide[0] != "+":
        return False
    if len(wide) == 1 or len(narrow) == 1:
        return wide[1:] in ([], ["#"]) and len(narrow) == 1
    return matches("/".join(wide[1:]), "/".join(narrow[1:]))


@pytest.mark.parametrize(
    ("cn", "action", "topic"),
    [
        (NODE, "publish", f"k1/{NODE}/up/report"),
        (NODE, "subscribe", f"k1/{NODE}/down/#"),
        (NODE, "subscribe", f"k1/{NODE}/down/receipt"),
        (NODE, "subscribe", f"k1/{NODE}/down/+"),
        (NODE, "receive", f"k1/{NODE}/down/receipt"),
        ("fleet", "publish", f"k1/{NODE}/down/receipt"),
        ("fleet", "subscribe", "k1/+/up/#"),
        ("fleet", "subscribe", f"k1/{NODE}/up/report"),
        ("fleet", "receive", f"k1/{NODE}/up/report"),
    ],
)
def test_what_is_allowed(cn: str, action: str, topic: str) -> None:
    assert allowed(cn, action, topic)


@pytest.mark.parametrize(
    ("cn", "action", "topic"),
    [
        (NODE, "publish", f"k1/{NODE}/down/receipt"),
        (NODE, "publish", f"k1/{OTHER}/up/report"),
        (NODE, "publish", f"k1/{NODE}/up/+"),
        (NODE, "publish", f"k1/{NODE}/up/\x00"),
        (NODE, "publish", f"k1/{NODE}/up/\ud800"),
        (NODE, "publish", f"k1/{NODE}/up/" + "x" * 300),
        (NODE, "subscribe", f"k1/{NODE}/#"),
        (NODE, "subscribe", f"k1/{NODE}/+/receipt"),
        (NODE, "subscribe", "k1/+/down/#"),
        (NODE, "subscribe", "#"),
        (NODE, "subscribe", f"k1/{NODE}/up/#"),
        (NODE, "subscribe", f"k1/{NODE}/down/#/x"),
        (NODE, "subscribe", f"$share/g/k1/{NODE}/down/#"),
        (NODE, "receive", f"k1/{OTHER}/down/receipt"),
        (NODE, "admin", f"k1/{NODE}/up/report"),
        (NODE, "", ""),
        ("fleet", "subscribe", "#"),
        ("fleet", "subscribe", "k1/#"),
        ("fleet", "subscribe", "+/+/up/#"),
        ("fleet", "publish", f"k1/{NODE}/up/report"),
        ("fleet", "publish", "k1/+/down/receipt"),
        ("admin", "publish", "k1/admin/up/report"),
        ("+", "publish", "k1/+/up/report"),
        ("", "subscribe", "k1//down/#"),
    ],
)
def test_what_is_refused(cn: str, action: str, topic: str) -> None:
    assert not allowed(cn, action, topic)


@given(_cn, st.sampled_from(list(Action)), _any)
def test_total(cn: str, action: Action, topic: str) -> None:
    assert allowed(cn, action, topic) in (True, False)


@given(_cn, _topic, _topic)
def test_an_allowed_filter_matches_only_what_may_be_received(
    cn: str, topic_filter: str, name: str
) -> None:
    if "+" in name or "#" in name or not allowed(cn, Action.SUBSCRIBE, topic_filter):
        return
    if matches(topic_filter, name):
        assert allowed(cn, Action.RECEIVE, name) or not name.isprintable()


@given(_cn, st.sampled_from([Action.PUBLISH, Action.RECEIVE]), _topic)
def test_names_agree_with_the_standards_matching(cn: str, action: Action, name: str) -> None:
    if "+" in name or "#" in name:
        assert not allowed(cn, action, name)
        return
    write = action == Action.PUBLISH
    wanted = any(matches(rule.filter, name) for rule in rules_of(cn) if rule.write == write)
    assert allowed(cn, action, name) == (wanted and name != "")


@given(st.text(max_size=12), _topic)
def test_a_cn_outside_the_grammar_has_no_rights(cn: str, topic: str) -> None:
    if cn != "fleet" and not rules_of(cn):
        assert not any(allowed(cn, action, topic) for action in Action)


def test_mosquittos_list_has_the_same_rules() -> None:
    lines = [line for line in acl().splitlines() if line and not line.startswith("#")]
    assert lines == [
        "user fleet",
        "topic write k1/+/down/#",
        "topic read k1/+/up/#",
        "topic deny k1/fleet/#",
        "pattern write k1/%u/up/#",
        "pattern read k1/%u/down/#",
        "pattern write k1/%u/up/claim",
    ]


def test_the_deployed_files_are_the_rendered_ones() -> None:
    """deploy/mosquitto is what `render` writes for the paths of a Debian installation."""
    folder = ROOT / "deploy" / "mosquitto"
    pki = Path("/etc/mosquitto/kapok")
    settings = MosquittoSettings(
        port=8883,
        host="0.0.0.0",  # noqa: S104
        user="mosquitto",
        certificate=pki / "server.crt",
        key=pki / "server.key",
        authorities=pki / "bundle.crt",
        crl=pki / "crl.pem",
    )
    assert (folder / "acl").read_text() == acl()
    assert (folder / "mosquitto.conf").read_text() == configuration(settings, pki / "acl")


@pytest.mark.parametrize("host", ["", "127.0.0.1\nallow_anonymous true", " x", "a\x00b"])
def test_attack_a_setting_that_breaks_out_of_its_line(tmp_path: Path, host: str) -> None:
    path = tmp_path / "x"
    with pytest.raises(BrokerError):
        render(tmp_path, MosquittoSettings(8883, path, path, path, path, host=host))
