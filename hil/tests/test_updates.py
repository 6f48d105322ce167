"""Updates: whole and as a delta, whatever comes between, and what becomes of a version that is no
good. Each begins with a node that was flashed with a release, so that deltas have a base.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.flashing.hardware import load_board
from fleet.flashing.runtime import HARDENED
from fleet.releases import bundle
from fleet.rollouts.states import FINAL
from fleet.wire import release
from hil import versions
from hil.fleet import Fleet, Refused
from hil.node import Node
from hil.power import Power
from hil.protocols import ModemControl
from hil.releases import Pair

pytestmark = [pytest.mark.node("gas-meter"), pytest.mark.start("off")]
HOURLY = {"report_s": 3600, "report_records": 1}
HASTE = 8
UPDATE_S = 12 * 3600  # some contacts, with minutes between them; an hour where one failed
TRIAL_S = 8 * 86400  # without a receipt it is over after four days at most
RESCUED, FILES_LOST = 4, 5  # errors of the status, of firmware/rescue/main.py
ERROR = "6"  # key of the status
SLOT = """
import hashlib, json
try:
    with open("/slot") as file:
        words = file.read().split()
except OSError:
    words = ["a", "-", "good"]
hasher, part = hashlib.sha256(), bytearray(4096)
with open("/%s.romfs" % words[0], "rb") as file:
    while True:
        n = file.readinto(part)
        if not n:
            break
        hasher.update(memoryview(part)[:n])
print(json.dumps([words, "".join("%02x" % byte for byte in hasher.digest())]))
"""
KEPT = """
import esp32
nvs = esp32.NVS("kapok")
nvs.set_{}({!r}, {!r})
nvs.commit()
"""
# What a power cut in the middle of an update could leave, and more: no slot has an image.
NO_SLOT = """
import os
for name in ("/a.romfs", "/b.romfs"):
    try:
        os.remove(name)
    except OSError:
        pass
"""


@pytest.fixture
def pair(node: Node, fleet: Fleet) -> Iterator[Pair]:
    """The node runs the first of them, and the fleet knows."""
    found = fleet.releases.pair(node)
    since = fleet.reported_us(node)  # what it ran in the test before is no news of this one
    node.carry(found.base_bundle, HOURLY)
    fleet.wait_report(node, 900, since)
    node.until(lambda: fleet.releases.running(node) == found.base, 900)
    yield found
    node.blank()  # whatever became of it: the next test is to find nothing of it


def offered(node: Node, fleet: Fleet, number: int) -> None:
    """The fleet has offered it, and a contact is made; the rest is the node's own."""
    node.hurry(HASTE)
    fleet.releases.offer(node, number)
    node.wake()


def image(path: Path) -> str:
    """SHA-256 of the application in a bundle."""
    read = bundle.read(path)
    return hashlib.sha256(read.components[release.APPLICATION]).hexdigest()


def slot(node: Node) -> tuple[list[str], str]:
    """The pointer of the node, and SHA-256 of the image that it points to."""
    words, digest = json.loads(node.prompt.exec(SLOT))
    return words, digest


@pytest.mark.requirement("K-UPD-02")
@pytest.mark.needs("stimulus")
def test_a_delta_gives_the_very_bytes_of_the_image_and_is_confirmed(
    node: Node, fleet: Fleet, pair: Pair
) -> None:
    offered(node, fleet, pair.then)
    fleet.releases.wait(node, pair.then, "succeeded", UPDATE_S)
    assert not fleet.releases.sent_whole(node, pair.then)
    assert fleet.releases.running(node) == pair.then
    assert slot(node) == (["b", "-", "good"], image(pair.then_bundle))


@pytest.mark.requirement("K-UPD-03", "K-UPD-08")
@pytest.mark.needs("stimulus", "power")
def test_power_cuts_cost_an_update_nothing_but_time(
    node: Node, fleet: Fleet, pair: Pair, power: Power
) -> None:
    node.hurry(HASTE)
    fleet.releases.offer(node, pair.then)
    power.cut_during(node.wake, seconds=20)
    for seconds in (25, 40, 60):
        power.on()
        node.wait(seconds)
        power.off()
    assert fleet.releases.state(node, pair.then) not in FINAL
    power.on()
    fleet.releases.wait(node, pair.then, "succeeded", UPDATE_S)
    assert slot(node) == (["b", "-", "good"], image(pair.then_bundle))


@pytest.mark.requirement("K-UPD-03")
@pytest.mark.needs("stimulus", "modem-twin")
def test_a_transfer_goes_on_where_coverage_was_lost(
    node: Node, fleet: Fleet, pair: Pair, modem: ModemControl
) -> None:
    def came() -> int:
        return int(modem.status()["counters"]["down_bytes"])

    fleet.releases.offer(node, pair.then)
    size = fleet.releases.size(node, pair.then)
    modem.set({"radio.delay_ms": 500})  # else it is over before anybody looks
    first = came()
    node.wake()
    node.until(lambda: came() - first > size // 2, UPDATE_S, step_s=0.2)
    modem.event("no-service", for_s=1800)
    node.hurry(HASTE)
    node.wait(1800)
    assert fleet.releases.state(node, pair.then) not in FINAL
    modem.set({"radio.delay_ms": 0})
    before = came()
    fleet.releases.wait(node, pair.then, "succeeded", UPDATE_S)
    assert came() - before < size  # what was there was not sent again
    assert fleet.releases.running(node) == pair.then


@pytest.mark.requirement("K-UPD-04")
@pytest.mark.needs("stimulus")
@pytest.mark.parametrize(
    ("what", "why"),
    [(versions.CRASHES, "crashed"), (versions.CANNOT_BE_IMPORTED, "not-imported")],
    ids=["crashes", "cannot be imported"],
)
def test_a_version_that_does_not_run_is_gone_and_the_fleet_knows_why(
    node: Node, fleet: Fleet, pair: Pair, what: int, why: str
) -> None:
    node.prompt.exec(versions.told(what))
    offered(node, fleet, pair.then)
    fleet.releases.wait(node, pair.then, "rolled-back", UPDATE_S)
    assert fleet.releases.reason(node, pair.then) == why
    assert slot(node) == (["a", "-", "good"], image(pair.base_bundle))


@pytest.mark.requirement("K-UPD-04")
@pytest.mark.needs("stimulus", "virtual")  # it takes two days to four
def test_a_version_that_reaches_nobody_is_gone_after_two_days(
    node: Node, fleet: Fleet, pair: Pair
) -> None:
    node.prompt.exec(versions.told(versions.REACHES_NOBODY))
    offered(node, fleet, pair.then)
    began = node.now_us
    fleet.releases.wait(node, pair.then, "rolled-back", TRIAL_S)
    assert (node.now_us - began) / 1e6 > 2 * 86400
    assert fleet.releases.reason(node, pair.then) == "not-confirmed"
    assert slot(node) == (["a", "-", "good"], image(pair.base_bundle))


@pytest.mark.requirement("K-UPD-06")
@pytest.mark.needs("stimulus")
def test_what_no_trusted_key_has_signed_is_refused_by_the_node(
    node: Node, fleet: Fleet, pair: Pair
) -> None:
    trusts = fleet.releases.other_trust()
    node.prompt.exec(KEPT.format("blob", "trust", trusts))
    offered(node, fleet, pair.then)
    fleet.releases.wait(node, pair.then, "rejected", UPDATE_S)
    assert fleet.releases.reason(node, pair.then) == "bad-signature"
    assert slot(node) == (["a", "-", "good"], image(pair.base_bundle))


@pytest.mark.requirement("K-UPD-06")
def test_what_nobody_has_signed_is_refused_by_the_fleet(node: Node, fleet: Fleet) -> None:
    made = fleet.releases.pair(node).then_bundle
    bare = made.with_name("bare.kapok")
    bundle.write(bare, bundle.read(made)._replace(signatures=()))
    with pytest.raises(Refused, match="sign"):
        fleet.releases.promote(bare)
    fleet.releases.sign(bare, "other")
    with pytest.raises(Refused, match="sign"):
        fleet.releases.promote(bare)


@pytest.mark.requirement("K-UPD-06")
@pytest.mark.needs("stimulus")
def test_what_is_for_another_board_is_refused_by_the_node(
    node: Node, fleet: Fleet, pair: Pair
) -> None:
    node.configure({**HOURLY, "board": "esp32s3-bc95"})
    offered(node, fleet, pair.then)
    fleet.releases.wait(node, pair.then, "rejected", UPDATE_S)
    assert fleet.releases.reason(node, pair.then) == "wrong-board"
    assert slot(node) == (["a", "-", "good"], image(pair.base_bundle))


@pytest.mark.requirement("K-UPD-07")
@pytest.mark.needs("stimulus")
def test_what_is_older_than_what_was_ever_confirmed_is_refused_by_the_node(
    node: Node, fleet: Fleet, pair: Pair
) -> None:
    node.prompt.exec(KEPT.format("i32", "seq", 900))
    offered(node, fleet, pair.then)
    fleet.releases.wait(node, pair.then, "rejected", UPDATE_S)
    assert fleet.releases.reason(node, pair.then) == "older"
    assert slot(node) == (["a", "-", "good"], image(pair.base_bundle))


@pytest.mark.requirement("K-UPD-05", "K-BOOT-03", "K-UPD-01")
def test_rescue_brings_back_a_node_of_which_no_slot_has_an_image(
    node: Node, fleet: Fleet, pair: Pair
) -> None:
    node.prompt.exec(NO_SLOT)
    node.until(lambda: fleet.status(node)["status"].get(ERROR) == RESCUED, 7200)
    assert "rescue application" in node.console.since()
    node.hurry(HASTE)
    fleet.releases.offer(node, pair.then)
    fleet.releases.wait(node, pair.then, "succeeded", UPDATE_S)
    assert fleet.releases.sent_whole(node, pair.then)
    assert slot(node) == (["a", "-", "good"], image(pair.then_bundle))


@pytest.mark.requirement("K-UPD-05", "K-BOOT-03")
@pytest.mark.needs("virtual")  # whether a bench's runtime is one for the field nobody can say
def test_rescue_makes_a_file_system_anew_that_does_not_mount(
    node: Node, fleet: Fleet, pair: Pair, tmp_path: Path
) -> None:
    from hil.virtual import runtime_image

    runtime = tmp_path / "runtime.bin"
    runtime.write_bytes(runtime_image.make(load_board(node.board).chip, project=HARDENED))
    node.flash.flash(node.type, pair.base_bundle, runtime)
    node.flash.write("vfs", b"\x5a" * 8192)  # both superblocks
    node.reset()
    node.until(lambda: fleet.status(node)["status"].get(ERROR) == FILES_LOST, 7200)
    node.hurry(HASTE)
    fleet.releases.offer(node, pair.then)
    fleet.releases.wait(node, pair.then, "succeeded", UPDATE_S)
    assert slot(node) == (["a", "-", "good"], image(pair.then_bundle))
