"""OSCORE's share of a wake's heap and time, within bounds that leave room for noise."""

from tests.bench.oscore import measure


def test_oscore_takes_little_heap_and_the_time_of_some_hashes() -> None:
    told = measure()
    assert told["modules"] + told["numbers"] + told["context"] < 7 * 1024
    assert told["exchange_us"] < 100 * told["sha_us"]
    assert told["derive_us"] < 150 * told["sha_us"]
