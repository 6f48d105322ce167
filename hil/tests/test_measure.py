"""Timing and power: the first tests that a bench runs.

With --measure what they find goes to hw/measured/boards/<board>.toml, which `kapok battery` takes
before the estimates of hw/chips. A virtual board computes currents and has the times of a PC.
"""

import json
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA256

from fleet.battery import onboard
from fleet.paths import firmware_dir
from hil.current import CurrentTrace
from hil.fleet import Fleet
from hil.measuring import CLOSES, OPENS, Measuring, cut, plateau
from hil.node import Node
from hil.protocols import ModemControl
from hil.pytest_plugin.planning import rig_of
from hil.tests import design, told
from hil.tests.test_boot import SELFTEST

VERIFY_MOST_MS = 5_000  # a signature is checked in a contact, beside its deadlines
SHA256_LEAST_KB_S = 50  # an image of 300 KB in 6 s
BOOT_MOST_MS = 2_000
IMPORT_MOST_MS = 1_500
HEAP_LEAST = 100_000  # free at power-on
MESSAGE = b"as long as a manifest is" * 40
VERIFY = """
import gc, time
n, s = bytes.fromhex({modulus!r}), bytes.fromhex({signature!r})
gc.collect()
began = time.ticks_us()
good = verify(n, {message!r}, s)
took = time.ticks_diff(time.ticks_us(), began)
print(good, verify(n, {message!r} + b"!", s), took)
"""
DIGEST = """
import hashlib, time
block, hasher = bytes(4096), hashlib.sha256()
began = time.ticks_us()
for _ in range(64):
    hasher.update(block)
digest = hasher.digest()
print(time.ticks_diff(time.ticks_us(), began))
"""
IMPORT = """
import gc, time
gc.collect()
free, began = gc.mem_free(), time.ticks_us()
import node.main
print(free, time.ticks_diff(time.ticks_us(), began))
"""
# The loop of hw/chips, whose turn is the unit of the VM's work.
SPIN = """
import utime
def spin(n):
    clock = utime.ticks_ms
    end = clock() + (1 << 40)
    count = 0
    while clock() < end:
        count += 1
        if count >= n:
            return
began = utime.ticks_us()
spin({turns})
print(utime.ticks_diff(utime.ticks_us(), began))
"""
TURNS = 200_000
SPIN_LEAST_US = 100_000  # five looks of the meter
REST = "import time; time.sleep(1)"


@pytest.fixture(scope="module")
def measuring(request: pytest.FixtureRequest) -> Iterator[Measuring]:
    """Written when the last of these tests has ended."""
    rig = rig_of(request.config)
    virtual = any("virtual" in place.features for place in rig.places)
    found = Measuring(virtual, rig.name)
    yield found
    if request.config.getoption("--measure"):
        for board in found.boards():
            onboard.write(board)


@pytest.mark.requirement("K-TIM-01")
def test_a_signature_of_rsa_3072_is_checked_in_its_time(node: Node, measuring: Measuring) -> None:
    key = rsa.generate_private_key(65537, 3072)
    signature = key.sign(MESSAGE, PSS(MGF1(SHA256()), 32), SHA256())
    modulus = key.public_key().public_numbers().n.to_bytes(384, "big")
    source = (firmware_dir() / "node" / "update" / "pss.py").read_text()  # a slot has no names
    text = source + VERIFY.format(
        modulus=modulus.hex(), signature=signature.hex(), message=MESSAGE
    )
    good, bad, took = node.prompt.exec(text).split()
    assert (good, bad) == ("True", "False")
    assert int(took) / 1000 < VERIFY_MOST_MS
    measuring.note(node, "time", verify_ms=max(int(took), 1) / 1000)


@pytest.mark.requirement("K-TIM-02")
def test_sha_256_runs_at_its_rate(node: Node, measuring: Measuring) -> None:
    took = max(int(node.prompt.exec(DIGEST)), 1)
    rate = round(64 * 4096 / 1024 / (took / 1e6), 1)
    assert rate > SHA256_LEAST_KB_S
    measuring.note(node, "time", sha256_kb_s=rate)


@pytest.mark.requirement("K-TIM-03", "K-TIM-04")
def test_import_and_heap_are_within_their_design(node: Node, measuring: Measuring) -> None:
    mark = node.console.mark()
    node.reset("pin")
    heap = json.loads(node.console.expect(SELFTEST, 60, mark)[1])["heap"]
    free, took = (int(word) for word in node.prompt.exec(IMPORT).split())
    assert took / 1000 < IMPORT_MOST_MS
    assert min(heap, free) > HEAP_LEAST
    measuring.note(node, "time", import_ms=max(took, 1) / 1000)
    measuring.note(node, "heap", selftest=heap, prompt=free)


@pytest.mark.requirement("K-TIM-03")
@pytest.mark.node("gas-meter", config={**told.HOURLY, "ledger_s": 3600})
def test_the_node_itself_times_its_boot(node: Node, fleet: Fleet, measuring: Measuring) -> None:
    since = fleet.mark()
    boot = fleet.wait_reading(node, "boot_time", 5 * 3600, since).value
    wakes = fleet.wait_reading(node, "wakes", 3600, since).value
    assert 0 < boot / wakes < BOOT_MOST_MS
    measuring.note(node, "time", boot_ms=round(boot / wakes, 1))


@pytest.mark.requirement("K-TIM-03", "K-TIM-05")
@pytest.mark.needs("current-meter")
def test_what_the_board_draws_computing_and_waiting(
    node: Node, current: CurrentTrace, measuring: Measuring
) -> None:
    node.to("asleep")
    node.wait(60)  # its modem too
    with node.prompt.visit() as repl:
        begun = current.mark()
        took = max(int(repl.execute(SPIN.format(turns=TURNS), 60)), 1)
        busy = current.since(begun)
        begun = current.mark()
        repl.execute(REST)
        idle = current.since(begun)
    power = design.of(node.type).chip.power_ma
    assert 0 < idle.mean_ua() < 1500 * power.busy
    measuring.note(node, "time", turn_us=round(took / TURNS, 4))
    measuring.note(node, "current", idle_ma=round(idle.mean_ua() / 1000, 2))
    # On a virtual board the loop takes the PC's time, of which the board's clock knows little.
    loop = plateau(busy, took) if took >= SPIN_LEAST_US else None
    if loop is not None:
        assert 0 < loop.mean_ua() < 1500 * power.busy
        measuring.note(node, "current", busy_ma=round(loop.mean_ua() / 1000, 2))


@pytest.mark.requirement("K-TIM-05")
@pytest.mark.needs("current-meter", "modem-twin")
@pytest.mark.node("gas-meter", config={"report_s": 7200, "report_records": 1})
def test_each_phase_of_a_wake_has_its_charge(
    node: Node, fleet: Fleet, current: CurrentTrace, modem: ModemControl, measuring: Measuring
) -> None:
    modem.set(ecl=0)
    node.to("asleep")
    node.wait(60)
    mark, at = current.mark(), modem.mark()
    fleet.wait_report(node, 3 * 3600)
    node.to("asleep")
    node.wait(3600 - node.now_us // 10**6 % 3600 + 600)  # an hour's wake without a report
    for _ in range(3):
        asleep, before = current.mark(), modem.mark()
        node.wait(120)
        sleep_ua = current.since(asleep).mean_ua()
        if not modem.log(before):
            break
        node.to("asleep")  # its report's moment, which is its id's, fell into this sleep
        node.wait(60)
    known = design.of(node.type)
    trace = current.since(mark)
    lines = [line.at_us for line in modem.log(at) if line.who == "host"]
    opens = [line.at_us for line in modem.said(OPENS, at, "host")]
    closes = [line.at_us for line in modem.said(CLOSES, at, "host")]
    wakes = trace.wakes(round(known.awake_ua))
    contact = next(wake for wake in wakes if wake.begin_us <= lines[0] <= wake.end_us)
    tail_us = next((us for us, ua in trace.samples if us > lines[-1] and ua < 1000), asleep)
    measuring.phases(
        node,
        {
            "boot": cut(trace, contact.begin_us, lines[0]),
            "attach": cut(trace, lines[0], opens[0]),
            "exchange": cut(trace, opens[0], closes[-1]),
            "close": cut(trace, closes[-1], tail_us),
            "sense": next(wake for wake in wakes if wake is not contact),
        },
    )
    measuring.note(node, "current", sleep_ua=round(sleep_ua, 1))
    (board,) = measuring.boards()
    assert all(phase.uc > 0 and phase.ms > 0 for phase in board.wake.values()), board.wake
    assert sleep_ua < design.SLEEP_MARGIN * known.sleep_ua
