"""A configuration is on trial until the fleet was reached with it; a power cut at any operation
leaves the node with the old one or the new one, and with the way back until there is proof.
"""

from collections.abc import Callable, Iterator
from typing import Any

import esp32
import pytest
from node import config, configure, downlink
from node.wire import cbor, receipt
from numbers_rig import PowerCut

CONFIG = receipt.CONFIG
BASE = {
    "node": "1gntj14d2p", "role": "gas-meter", "modem": "bc660k", "apn": "", "host": "localhost",
    "port": 5683, "pins": {"pulse": 4}, "report_s": 21600,
}  # fmt: skip
FIRST = [1, CONFIG, cbor.encode({"report_s": 7200})]
SECOND = [2, CONFIG, cbor.encode({"apn": "nowhere"})]
BACK = [2, CONFIG, cbor.encode({"report_s": 21600})]
TRIES = 4


@pytest.fixture(autouse=True, params=[False, True], ids=["at commit", "at set"])
def flash(request: pytest.FixtureRequest) -> Iterator[esp32.Flash]:
    esp32.flash = provisioned(request.param)
    yield esp32.flash
    esp32.flash = esp32.Flash()


def provisioned(at_set: bool) -> esp32.Flash:
    made = esp32.Flash()
    made.at_set = at_set
    made.kept.update(cfg=cbor.encode(BASE))
    return made


def give(*items: list[Any]) -> list[tuple[int, int, int]]:
    results: list[tuple[int, int, int]] = []
    downlink.handle([list(item) for item in items], results=results)
    return results


def lose(contacts: int) -> int | None:
    """So many contacts fail; the number that the last one gives up."""
    given_up: int | None = None
    for _ in range(contacts):
        given_up = configure.failed() if config.on_trial() else None
    return given_up


def test_the_fleet_is_reached_and_the_old_one_goes() -> None:
    give(FIRST)
    assert config.on_trial()
    assert config.load()["report_s"] == 7200
    configure.proved()
    assert not config.on_trial()
    assert "cfgp" not in esp32.flash.kept
    assert lose(10) is None
    assert config.load()["report_s"] == 7200


def test_the_fleet_is_not_reached_and_the_old_one_comes_back() -> None:
    give(FIRST)
    assert lose(TRIES - 1) is None
    assert config.load()["report_s"] == 7200
    assert lose(1) == 1
    assert esp32.flash.kept["cfg"] == cbor.encode(BASE)
    assert not config.on_trial()
    assert downlink.standing() == [0, 1, 1], "the fleet reads that it was refused in the end"


def test_the_tries_are_counted_through_power_cuts() -> None:
    give(FIRST)
    for _ in range(TRIES - 1):
        assert lose(1) is None
        esp32.flash.reset()
    assert lose(1) == 1


def test_a_second_patch_falls_back_to_what_was_proved() -> None:
    give(FIRST)
    give(SECOND)
    assert lose(TRIES) == 2
    assert esp32.flash.kept["cfg"] == cbor.encode(BASE)
    assert downlink.standing() == [0, 2, 2]


def test_a_proved_one_is_what_the_next_falls_back_to() -> None:
    give(FIRST)
    configure.proved()
    give(SECOND)
    assert lose(TRIES) == 2
    assert config.load()["report_s"] == 7200
    assert config.load()["apn"] == ""
    assert downlink.standing() == [1, 2, 2]


def test_what_goes_back_to_the_proved_one_is_on_no_trial() -> None:
    give(FIRST)
    give(BACK)
    assert not config.on_trial()
    assert cbor.decode(esp32.flash.kept["cfg"]) == BASE


def test_what_changes_nothing_is_on_no_trial() -> None:
    give([1, CONFIG, cbor.encode({"report_s": 21600})])
    assert not config.on_trial()
    assert downlink.standing() == [1, 1, 0]


def play(cut: int | None, at_set: bool, end: Callable[[], object]) -> bool:
    """A patch, then `end`; the power fails at operation `cut`, and all is done again. Whether it
    came to the cut.
    """
    esp32.flash = provisioned(at_set)
    esp32.flash.fuse.left = cut
    ending = False
    try:
        give(FIRST)
        ending = True
        end()
    except PowerCut:
        esp32.flash.reset()
        now = cbor.decode(esp32.flash.kept["cfg"])
        assert now in (BASE, {**BASE, "report_s": 7200}), "half a configuration"
        assert config.load()
        if now != BASE:
            held = esp32.flash.kept.get("cfgp")
            assert ending or cbor.decode(held)[0] == cbor.encode(BASE), "no way back"
        give(FIRST)
        end()
        return True
    esp32.flash.fuse.left = None
    return False


def each_cut(flash: esp32.Flash, end: Callable[[], object], check: Callable[[], None]) -> int:
    cuts = 0
    while play(cuts, flash.at_set, end):
        check()
        cuts += 1
    check()
    return cuts


def test_power_cuts_on_the_way_to_proof(flash: esp32.Flash) -> None:
    def check() -> None:
        assert config.load()["report_s"] == 7200
        assert not config.on_trial()

    assert each_cut(flash, configure.proved, check) > 15


def test_power_cuts_on_the_way_back(flash: esp32.Flash) -> None:
    def check() -> None:
        assert cbor.decode(esp32.flash.kept["cfg"]) == BASE
        assert not config.on_trial()
        assert downlink.standing() == [0, 1, 1]

    assert each_cut(flash, lambda: lose(TRIES + 1), check) > 20


def test_a_trial_is_given_up_at_once_and_through_power_cuts(flash: esp32.Flash) -> None:
    give(FIRST)
    assert configure.give_up() == 1
    assert not config.on_trial()
    assert configure.give_up() is None

    def check() -> None:
        assert cbor.decode(esp32.flash.kept["cfg"]) == BASE
        assert not config.on_trial()
        assert downlink.standing() == [0, 1, 1]

    assert each_cut(flash, lambda: config.on_trial() and configure.give_up(), check) > 15


def test_sabotage_without_the_trial_a_wrong_network_shuts_the_node_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "on_trial", lambda: False)
    give(SECOND)
    lose(100)
    assert config.load()["apn"] == "nowhere"
