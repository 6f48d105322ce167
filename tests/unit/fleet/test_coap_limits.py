"""Buckets of tokens, by a clock that the test turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.coap import limits
from fleet.coap.limits import ADDRESS, EVERYBODY, FORGED, NETWORK, Buckets, Limits, Rate


class Clock:
    """Seconds, by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def four(last: int, third: int = 1) -> str:
    """An IPv4 address as a socket for both gives it."""
    return f"::ffff:198.51.{third}.{last}"


def admitted(door: Limits, addresses: list[str]) -> int:
    """How many of them come in."""
    return sum(door.admit(address) for address in addresses)


def test_a_burst_comes_in_and_then_the_rate() -> None:
    clock = Clock()
    door = Limits(clock)
    assert admitted(door, [four(1)] * 1000) == ADDRESS.burst
    clock.now += 2
    assert admitted(door, [four(1)] * 1000) == 2 * ADDRESS.per_s
    assert door.admit(four(2)), "another address has its own"


def test_a_network_of_many_addresses_has_one_bucket() -> None:
    door = Limits(Clock())
    flood = [four(n) for n in range(200) for _ in range(20)]
    assert admitted(door, flood) == NETWORK.burst
    assert not door.admit(four(250))
    assert door.admit(four(1, third=2)), "the network beside it has its own"


def test_everybody_has_one_bucket() -> None:
    door = Limits(Clock())
    flood = [four(n % 250, n // 250) for n in range(int(EVERYBODY.burst) + 500)]
    assert admitted(door, flood) == EVERYBODY.burst


def test_nodes_behind_one_address_do_not_use_it_up() -> None:
    door = Limits(Clock())
    for _ in range(5000):
        assert door.admit(four(1))
        door.proven(four(1))


def test_forgeries_cost_their_address_the_bucket() -> None:
    clock = Clock()
    door = Limits(clock)
    count = 0
    while door.admit(four(1)):
        door.forged(four(1))
        count += 1
    assert count == -(-ADDRESS.burst // (1 + FORGED))
    clock.now += 10
    for _ in range(1000):
        count += door.admit(four(1))
        door.forged(four(1))
    clock.now += 1
    assert not door.admit(four(1)), "it is in debt by now"
    clock.now += 2 * ADDRESS.burst / ADDRESS.per_s
    assert door.admit(four(1)), "which is bounded: the address comes back"
    assert door.admit(four(2))


def test_forgeries_from_everywhere_do_not_empty_the_bucket_of_all() -> None:
    door = Limits(Clock())
    for n in range(4000):
        address = four(n % 100, n // 100)
        assert door.admit(address)
        door.forged(address)
    assert door.admit(four(1, third=200))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
    ],
)
def test_of_ipv6_a_64_is_one_host(one: str, other: str, same: bool) -> None:
    door = Limits(Clock())
    admitted(door, [one] * 1000)
    assert door.admit(other) is not same


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(-30, 30)), max_size=200))
def test_a_bucket_keeps_between_debt_and_full_and_forgets_whom_it_met_first(
    drawn: list[tuple[int, float]],
) -> None:
    rate = Rate(1.0, 10.0)
    buckets = Buckets(rate, 8)
    for now, (key, tokens) in enumerate(drawn):
        buckets.put(key, tokens, now)
        assert -rate.burst <= buckets.level(key, now) <= rate.burst
        assert len(buckets) <= 8


def test_memory_is_bounded_however_many_addresses_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEPT", 100)
    buckets = Buckets(ADDRESS, limits.KEPT)
    for n in range(10_000):
        buckets.put(n, -1, 0.0)
    assert len(buckets) == 100
