"""The radio links: physics that is monotonous, and that agrees with what 3GPP has published."""

import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.virtual.modem import budget
from hil.virtual.modem.cat1 import Cat1Link
from hil.virtual.modem.nbiot import NbIotLink
from hil.virtual.modem.radio import Burst, Link, Signal, length_us

# 3GPP TR 45.820: mJ of a report of 50 bytes by coupling loss, derived from its table of battery
# life; and the powers that it assumes: transmitting 500 mW, receiving 90 mW, in between 2.4 mW.
REFERENCE_MJ = {144: 74.0, 154: 265.0, 164: 1530.0}
REFERENCE_MW = {"tx": 500.0, "rx": 90.0, "wait": 2.4}
UDP_OCTETS = 50 + 28


def seconds(bursts: Callable[[random.Random], list[Burst]], times: int = 100) -> Counter[str]:
    """Mean seconds by kind."""
    rng = random.Random(1)
    total: Counter[str] = Counter()
    for _ in range(times):
        for burst in bursts(rng):
            total[burst.kind] += burst.us
    return Counter({kind: us / 1e6 / times for kind, us in total.items()})


def report(link: Link) -> Callable[[random.Random], list[Burst]]:
    """Random access, 50 bytes over UDP, and the release at once."""
    return lambda rng: [*link.access(rng), *link.uplink(UDP_OCTETS, rng), *link.release(rng)]


@pytest.mark.parametrize(
    ("loss_db", "least", "most"),
    [(144, 10_000, 40_000), (154, 1_500, 5_000), (164, 250, 600)],
)
def test_uplink_rates_are_those_that_3gpp_simulated(loss_db: int, least: int, most: int) -> None:
    """Some 19, 2.6 and 0.34 kbit/s on the physical layer."""
    density = 23 - loss_db + 174 - 3
    block = budget.uplink(1000, density)
    assert block is not None
    assert least < 1000 / (block.us / 1e6) < most


@pytest.mark.parametrize("loss_db", sorted(REFERENCE_MJ))
def test_airtime_at_the_references_powers_costs_about_the_references_energy(loss_db: int) -> None:
    """The reference is the judge, and nothing in the model is fitted to it."""
    used = seconds(report(NbIotLink(loss_db)))
    mj = sum(REFERENCE_MW[kind] * used[kind] for kind in used)
    assert 0.4 < mj / REFERENCE_MJ[loss_db] < 1.4


def test_deeper_is_slower_and_costs_more() -> None:
    for nbiot, losses in ((True, range(120, 168, 4)), (False, range(100, 146, 5))):
        links: list[Link] = [NbIotLink(db) if nbiot else Cat1Link(db) for db in losses]
        lengths = [sum(seconds(report(link)).values()) for link in links]
        sending = [seconds(report(link))["tx"] for link in links]
        assert all(b > 0.9 * a for a, b in pairwise(lengths))
        assert lengths[-1] > 1.3 * lengths[0]
        assert sending[-1] > 5 * sending[0]


@pytest.mark.parametrize(
    ("loss_db", "ecl"), [(110, 0), (144, 0), (144.5, 1), (154, 1), (154.5, 2), (164, 2)]
)
def test_the_coverage_level_follows_the_coupling_loss(loss_db: float, ecl: int) -> None:
    assert NbIotLink(loss_db).signal.ecl == ecl


def test_the_links_end_where_their_budgets_do() -> None:
    assert NbIotLink(164).usable
    assert not NbIotLink(182).usable
    assert Cat1Link(141).usable
    assert not Cat1Link(155).usable


def test_signal_levels_at_known_points() -> None:
    # A stand-alone carrier of 43 dBm on twelve tones: 32.2 dBm of reference signal.
    assert NbIotLink(122).signal == Signal(-68, -90, -8, 16, 0, 17)
    deep = NbIotLink(164).signal
    assert (deep.rsrp_dbm, deep.tx_dbm, deep.narrow_rssi_dbm) == (-132, 23, -116)
    assert -6 <= deep.snr_db <= -4  # 43 - 164 + 174 - 5 - 52.6 dB
    assert Cat1Link(111).signal.rsrp_dbm == -90
    assert Cat1Link(111).signal.ecl is None


@pytest.mark.parametrize(
    ("rssi", "rsrp", "rsrq", "expected"),
    [
        (-69, -90, -8, (22, 51, 24)),
        (-113, -141, -20, (0, 0, 0)),
        (-130, -150, -25, (0, 0, 0)),
        (-51, -44, -3, (31, 97, 34)),
        (-20, -30, 0, (31, 97, 34)),
    ],
)
def test_the_scales_of_csq_and_cesq(
    rssi: int, rsrp: int, rsrq: int, expected: tuple[int, int, int]
) -> None:
    signal = Signal(rssi, rsrp, rsrq, 0, None, 23)
    assert (signal.csq, signal.cesq_rsrp, signal.cesq_rsrq) == expected


def test_fading_costs_less_the_longer_a_block_lasts() -> None:
    costs = [budget.fading_db(ms) for ms in (1, 100, 1_000, 10_000)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] == pytest.approx(5.8, abs=0.1)  # chi-square, four degrees of freedom, 10 %


@given(bits=st.integers(16, 1000), density=st.floats(20, 80))
@settings(max_examples=60, deadline=None)
def test_a_better_link_never_needs_longer(bits: int, density: float) -> None:
    worse, better = budget.uplink(bits, density), budget.uplink(bits, density + 3)
    if worse is not None:
        assert better is not None
        assert better.us <= worse.us


@given(
    nbiot=st.booleans(),
    share=st.floats(0, 1),
    octets=st.integers(1, 1500),
    seed=st.integers(0, 1 << 32),
)
@settings(max_examples=60, deadline=None)
def test_every_burst_takes_time_and_no_power_is_above_the_class(
    nbiot: bool, share: float, octets: int, seed: int
) -> None:
    link: Link = NbIotLink(110 + 56 * share) if nbiot else Cat1Link(90 + 55 * share)
    rng = random.Random(seed)
    for bursts in (
        link.access(rng),
        link.request(rng),
        link.uplink(octets, rng),
        link.downlink(octets, rng),
        link.release(rng),
        link.signalling(2, rng),
    ):
        assert length_us(bursts) > 0
        for burst in bursts:
            assert burst.us >= 0
            assert burst.dbm <= 23
            assert burst.us < 1_000_000_000


def test_the_same_seed_gives_the_same_bursts() -> None:
    for link in (NbIotLink(160), Cat1Link(140)):
        first, again, other = (
            link.access(random.Random(seed)) + link.uplink(700, random.Random(seed))
            for seed in (4, 4, 5)
        )
        assert first == again != other
