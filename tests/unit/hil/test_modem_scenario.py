"""Scenarios: what a file may say, one clear line for what it may not, and what we ship."""

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.paths import firmware_dir
from hil.virtual.modem import ModemTwin
from hil.virtual.modem.families import FAMILIES
from hil.virtual.modem.faults import LineFaults
from hil.virtual.modem.scenario import Scenario, TableError, load, shipped
from hil.virtual.modem.timeline import Event

FULL = """
about = "everything at once"
technology = "nb-iot"
delivery = false
reason = ["AttachRefused", "AttachTimeout"]

[radio]
coupling_loss_db = 150.5
inactivity_s = 20
loss = 0.25
delay_ms = 300

[network]
attach_delay_s = [20, 120]
refuse_first = [22, 15]
refuse = 11

[sim]
pin = "1234"
puk = "11112222"
bound_imei = "490154203237518"
whitelist = ["fleet.example", "10.0.0.1"]
plan_bytes = 4096

[psm]
accept = true
tau_s = 3600
active_s = 16

[edrx]
cycle_bits = "0101"
window_bits = "0001"

[supply]
ohms = 2.5
volts = 3.6

[uart]
split = 1
merge_ms = 5
deaf_chance = 0.1
deaf_ms = 30
autobaud = true
baud = 9600
chatter = 0.5

[[event]]
do = "detach"
on = "send"
at_s = 1.5
for_s = 30

[[event]]
do = "refuse"
cause = 22
times = 3
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "x.toml"
    path.write_text(text)
    return path


def test_a_file_that_says_everything(tmp_path: Path) -> None:
    scenario = load(written(tmp_path, FULL))
    assert (scenario.name, scenario.about) == ("x", "everything at once")
    assert (scenario.delivery, scenario.reasons) == (False, ("AttachRefused", "AttachTimeout"))
    assert scenario.coupling_loss_db == 150.5
    assert (scenario.air.inactivity_s, scenario.air.loss, scenario.air.delay_s) == (20, 0.25, 0.3)
    assert (scenario.attach_delay_s, scenario.refuse) == ((20, 120), 11)
    assert scenario.refuse_first == (22, 15)
    assert scenario.sim.whitelist == ("fleet.example", "10.0.0.1")
    assert (scenario.grants.tau_s, scenario.grants.window_bits) == (3600, "0001")
    assert (scenario.supply.ohms, scenario.supply.volts) == (2.5, 3.6)
    assert scenario.line == LineFaults(1, 5, 0.1, 30, True, 9600)
    assert scenario.events == (
        Event("detach", 1.5, "send", 30),
        Event("refuse", cause=22, times=3),
    )


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    scenario = load(written(tmp_path, ""))
    assert scenario == Scenario(name="x")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("abuot = 'x'", "abuot: there is no such key"),
        ("about = 3", "about: must be a text"),
        ("technology = 'gsm'", "technology: must be one of nb-iot, lte-cat1, any"),
        ("delivery = 1", "delivery: must be true or false"),
        ("delivery = false", "reason: goes with delivery = false, and only with it"),
        ("reason = 'SocketError'", "reason: goes with delivery = false, and only with it"),
        ("radio = 3", "radio: must be a table"),
        ("[radio]\nloss = 2", "radio.loss: must be within 0 and 1"),
        ("[radio]\nloss = true", "radio.loss: must be a number"),
        ("[radio]\nloss = nan", "radio.loss: must be within 0 and 1"),
        ("[radio]\nquality = 'bad'", "radio.quality: must be one of good, poor"),
        ("[radio]\ncoupling_loss = 3", "radio.coupling_loss: there is no such key"),
        ("[network]\nattach_delay_s = 5", "network.attach_delay_s: must be two numbers"),
        ("[network]\nattach_delay_s = [5, 1]", "network.attach_delay_s: must rise"),
        ("[network]\nrefuse = 1.5", "network.refuse: must be a whole number"),
        ("[network]\nrefuse_first = [1]", "network.refuse_first: must be whole numbers within"),
        ("[sim]\nwhitelist = [1]", "sim.whitelist: must be texts"),
        ("[sim]\nplan_bytes = -1", "sim.plan_bytes: must be within"),
        ("[psm]\ntau = 3", "psm.tau: there is no such key"),
        ("[edrx]\ncycle_bits = '012'", "edrx.cycle_bits: must be a text of 4 bits"),
        ("[uart]\nbaud = 1", "uart.baud: must be within 300 and 4000000"),
        ("event = 3", "event: must be an array of tables"),
        ("[[event]]\nat_s = 3", "event[0].do: must be one of detach"),
        (
            "[[event]]\ndo='mute'\n[[event]]\ndo='mute'\nfor=3",
            "event[1].for: there is no such key",
        ),
        ("[[event]]\ndo='mute'\non='monday'", "event[0].on: must be one of power"),
        ("about = ", "Invalid value"),
        ("\x00", "Invalid statement"),
    ],
)
def test_what_is_wrong_is_one_line_with_file_and_key(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TableError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {complaint}"), message
    assert "\n" not in message


def test_a_file_that_cannot_be_read_is_one_line_too(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"nowhere\.toml: No such file"):
        load(tmp_path / "nowhere.toml")
    with pytest.raises(TableError, match="Is a directory"):
        load(tmp_path)
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(TableError, match="not UTF-8"):
        load(binary)


VALUES: Any = st.recursive(
    st.one_of(
        st.none().map(lambda _: "true"),
        st.integers(-(1 << 40), 1 << 40).map(str),
        st.floats(allow_nan=True).map(lambda x: str(x).replace("e+", "e")),
        st.sampled_from(["'good'", "'0101'", "'x'", "''", "1979-05-27"]),
    ),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
    max_leaves=4,
)
KEYS = ["delivery", "reason", "loss", "attach_delay_s", "refuse", "pin", "whitelist", "do", "on"]


@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from(["", "[radio]", "[network]", "[sim]", "[uart]", "[[event]]"]),
            st.sampled_from(KEYS),
            VALUES,
        ),
        max_size=6,
    )
)
@settings(max_examples=150, deadline=None)
def test_any_file_is_a_scenario_or_a_table_error(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[str, str, str]]
) -> None:
    text = "\n".join(f"{table}\n{key} = {value}" for table, key, value in parts)
    path = written(tmp_path_factory.mktemp("s"), text)
    complaint = complaint_about(path)
    assert "\n" not in complaint
    assert complaint.startswith(str(path)) or not complaint


def complaint_about(path: Path) -> str:
    """What TableError says, empty for a good file."""
    try:
        load(path)
    except TableError as e:
        return str(e)
    return ""


def errors() -> set[str]:
    """The names of the driver's errors."""
    files = [firmware_dir() / "node" / name for name in ("errors.py", "link/registration.py")]
    trees = [ast.parse(path.read_text()) for path in files]
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_the_scenarios_that_we_ship(path: Path) -> None:
    scenario = load(path)
    assert scenario.about
    assert "\n" not in scenario.about
    assert set(scenario.reasons) <= errors()
    for family in FAMILIES:
        ModemTwin(family, seed=1, scenario=scenario)


def test_these_are_among_the_ones_that_we_ship() -> None:
    assert {path.stem for path in shipped()} >= {
        "good",
        "deep-basement",
        "edge",
        "cat1-good",
        "cat1-poor",
        "sim-absent",
        "sim-locked",
        "plan-exhausted",
        "detach-midway",
        "reboot-midway",
        "mute-modem",
        "brown-out",
        "psm-during-send",
        "congestion",
        "lossy",
    }
