"""What a node does with the fleet's items, and that no power cut leaves one half done."""

import contextlib
from collections.abc import Iterator
from typing import Any

import esp32
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node import config, downlink
from node.errors import ConfigError
from node.wire import cbor, receipt
from numbers_rig import PowerCut

CONFIG, KEY, COMMAND, UPDATE = receipt.CONFIG, receipt.KEY, receipt.COMMAND, receipt.UPDATE
BASE = {
    "node": "1gntj14d2p", "role": "gas-meter", "modem": "bc660k", "apn": "", "host": "localhost",
    "port": 5683, "pins": {"pulse": 4}, "report_s": 21600, "door": "coap",
}  # fmt: skip
OLD_KEY = cbor.encode([b"\x01\x02\x03", bytes(16)])
NEW_KEY = cbor.encode([b"\x04\x05\x06", bytes(range(16))])
APPLIED, HANDLED, REFUSED = range(3)


@pytest.fixture(autouse=True)
def flash() -> Iterator[esp32.Flash]:
    """NVS as provisioning leaves it."""
    esp32.flash = provisioned()
    yield esp32.flash
    esp32.flash = esp32.Flash()


def provisioned(at_set: bool = False) -> esp32.Flash:
    made = esp32.Flash()
    made.at_set = at_set
    made.kept.update(cfg=cbor.encode(BASE), oscore=OLD_KEY)
    return made


def stored() -> Any:
    """The configuration that a boot would find."""
    return cbor.decode(esp32.flash.kept["cfg"])


def patch(**values: Any) -> bytes:
    raw: bytes = cbor.encode(values)
    return raw


def handle(*items: list[Any]) -> bool:
    changed: bool = downlink.handle([list(item) for item in items])
    return changed


def test_a_node_that_has_had_no_item_says_so() -> None:
    assert downlink.standing() == [0, 0, 0]


def test_a_configuration_is_merged_and_told() -> None:
    assert handle([5, CONFIG, patch(report_s=7200, tau_s=600, host="fleet.example")])
    assert stored() == {**BASE, "report_s": 7200, "tau_s": 600, "host": "fleet.example"}
    assert downlink.standing() == [5, 5, 0]
    assert config.load()["report_s"] == 7200
    assert handle([6, CONFIG, patch(report_s=None, tau_s=None, apn=None, attach_s=None)])
    assert {"report_s", "tau_s", "apn"}.isdisjoint(stored())
    assert config.load()["report_s"] == 21600, "the default"
    assert downlink.standing() == [6, 6, 0]


REFUSALS = [
    ("unknown key", patch(reports=1)),
    ("a key that is no text", cbor.encode({1: 2})),
    ("the node's identity", patch(node="1gntj14d2q")),
    ("its pins", patch(pins={"pulse": 5})),
    ("its modem", patch(modem="ec200")),
    ("its role", patch(role="drainage")),
    ("its role, deleted", patch(role=None)),
    ("out of bounds below", patch(report_s=59)),
    ("out of bounds above", patch(report_s=604801)),
    ("one good key and one bad", patch(report_s=7200, attach_s=-1)),
    ("wrong type", patch(report_s="7200")),
    ("true is no number", patch(report_s=True)),
    ("a needed key deleted", patch(host=None)),
    ("a text too long", patch(host="h" * 254)),
    ("a plan that no lamp can follow", patch(lamp_plan=[1])),
    ("a plan of texts", patch(lamp_plan=["a", "b"])),
    ("an unknown door", patch(door="http")),
    ("a door without its key", patch(door="mqtt")),
    ("a door without its key, by default", patch(door=None)),
    ("an unknown bearer", patch(door="coap", bearers=["pigeon"])),
    ("a bearer that no node has", patch(bearers=["pigeon"])),
    ("low over high", patch(low_uv=3_300_000)),
    ("no map", cbor.encode([1])),
    ("no CBOR", b"\xff"),
    ("nothing", b""),
    ("a map with a key twice", b"\xa2\x61a\x01\x61a\x01"),
    ("what was too large to be fetched", 60_000),
]


@pytest.mark.parametrize(("why", "payload"), REFUSALS)
def test_a_configuration_is_refused_whole(why: str, payload: Any) -> None:
    assert not handle([5, CONFIG, payload])
    assert stored() == BASE
    assert downlink.standing() == [0, 5, 5]
    config.load()


def test_a_configuration_that_would_not_fit_is_refused() -> None:
    big = {**stored(), "host": "h" * 253, "apn": "a" * 63, "pins": {"pulse" + "e" * 580: 4}}
    esp32.flash.kept["cfg"] = cbor.encode(big)
    assert 1024 - 40 < len(cbor.encode(big)) <= 1024
    assert not handle([2, CONFIG, patch(bearers=["modem"] * 4, tau_s=600, active_s=60)])
    assert stored() == big
    assert downlink.standing() == [0, 2, 2]


def test_a_key_is_taken_whole() -> None:
    assert not handle([5, KEY, NEW_KEY])
    assert config.oscore() == [b"\x04\x05\x06", bytes(range(16))]
    assert downlink.standing() == [0, 5, 0]


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", cbor.encode([b"abc"]), cbor.encode([b"ab", bytes(16)]),
     cbor.encode([b"abc", bytes(15)]), cbor.encode([b"abc", bytes(16), 1]),
     cbor.encode(["abc", bytes(16)]), NEW_KEY + b"\0", 21],
)  # fmt: skip
def test_what_is_no_key_is_refused(payload: Any) -> None:
    handle([5, KEY, payload])
    assert esp32.flash.kept["oscore"] == OLD_KEY
    assert downlink.standing() == [0, 5, 5]


@pytest.mark.parametrize("kind", [COMMAND, UPDATE, 6, 255])
def test_kinds_that_the_node_does_not_know_are_refused(kind: int) -> None:
    handle([5, kind, b"now"], [6, CONFIG, patch(report_s=7200)])
    assert downlink.standing() == [6, 6, 5]


def test_each_number_is_handled_once() -> None:
    assert handle([5, CONFIG, patch(report_s=7200)], [5, CONFIG, patch(report_s=100)])
    assert not handle([4, CONFIG, patch(report_s=200)], [5, CONFIG, patch(report_s=300)])
    assert stored()["report_s"] == 7200
    before = esp32.flash.operations
    assert not handle([5, KEY, NEW_KEY])
    assert esp32.flash.operations == before


def test_a_full_flash_is_told_and_the_item_comes_again() -> None:
    esp32.flash.full = True
    with pytest.raises(ConfigError, match="item 5"):
        handle([5, CONFIG, patch(report_s=7200)])
    esp32.flash.full = False
    assert handle([5, CONFIG, patch(report_s=7200)])
    assert downlink.standing() == [5, 5, 0]


ITEMS: list[list[Any]] = [
    [3, CONFIG, patch(report_s=7200, tau_s=600)],
    [4, KEY, NEW_KEY],
    [6, CONFIG, patch(report_s=1)],
    [7, COMMAND, b"ring"],
    [8, CONFIG, patch(tau_s=None, attach_s=90)],
]


def fold(items: list[list[Any]], upto: int) -> tuple[Any, bytes]:
    """Configuration and key once all items up to a number are done, where no power fails."""
    esp32.flash, held = provisioned(), esp32.flash
    try:
        handle(*[item for item in items if item[0] <= upto])
        return stored(), bytes(esp32.flash.kept["oscore"])
    finally:
        esp32.flash = held


def cut_everywhere(items: list[list[Any]], at_set: bool, take: Any = downlink.handle) -> None:
    """The power fails before and after each NVS operation; the fleet gives the items again."""
    numbers = [0] + [item[0] for item in items]
    states = [fold(items, n) for n in numbers]
    cuts = 0
    while True:
        esp32.flash = provisioned(at_set)
        esp32.flash.fuse.left = cuts
        try:
            take([list(item) for item in items])
            assert esp32.flash.fuse.left is not None
            break
        except PowerCut:
            pass
        esp32.flash.reset()
        applied, handled, refused = downlink.standing()
        config.load()
        done = numbers.index(handled)
        now = (stored(), esp32.flash.kept["oscore"])
        assert now in states[done : done + 2], "half done, or noted and not done"
        assert applied <= numbers[min(done + 1, len(items))]
        assert refused <= numbers[min(done + 1, len(items))]
        take([list(item) for item in items])
        assert (stored(), esp32.flash.kept["oscore"]) == states[-1]
        assert downlink.standing() == [8, 8, 7]
        cuts += 1
    assert cuts >= 20


@pytest.mark.parametrize("at_set", [False, True])
def test_a_power_cut_leaves_an_item_done_or_not_begun(at_set: bool) -> None:
    """Before and after every operation of NVS; kept by the commit, or at once when it is set."""
    cut_everywhere(ITEMS, at_set)


@pytest.mark.parametrize("at_set", [False, True])
def test_sabotage_an_item_noted_before_it_is_done_is_lost(
    at_set: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting = {kind: (function, True) for kind, (function, _) in downlink._HANDLERS.items()}
    monkeypatch.setattr(downlink, "_HANDLERS", acting)
    with pytest.raises(AssertionError, match="not done"):
        cut_everywhere(ITEMS, at_set)


PATCHES = st.dictionaries(
    st.sampled_from(["report_s", "tau_s", "attach_s", "host", "role", "nonsense"]),
    st.one_of(st.none(), st.integers(-1, 700_000), st.sampled_from(["", "fleet.example"])),
    max_size=3,
).map(lambda values: [CONFIG, cbor.encode(values)])
ANY = st.one_of(
    PATCHES,
    st.sampled_from([[KEY, NEW_KEY], [KEY, OLD_KEY], [UPDATE, 60_000]]),
    st.tuples(st.integers(1, 255), st.binary(max_size=20)).map(list),
)


@given(st.lists(ANY, max_size=6), st.lists(st.integers(0, 30), max_size=6), st.booleans())
@settings(max_examples=150)
def test_whatever_comes_and_however_often_power_fails_the_end_is_the_same(
    kinds: list[list[Any]], cuts: list[int], at_set: bool
) -> None:
    items = [[n, *rest] for n, rest in enumerate(kinds, 1)]
    esp32.flash = provisioned(at_set)
    wanted = fold(items, len(items))
    for left in [*cuts, None]:
        esp32.flash.reset()
        esp32.flash.fuse.left = left
        with contextlib.suppress(PowerCut):
            handle(*items)
        esp32.flash.reset()
        config.load()
        config.oscore()
    assert (stored(), esp32.flash.kept["oscore"]) == wanted
    assert downlink.standing()[HANDLED] == len(items)
