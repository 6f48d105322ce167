"""20,000 random byte streams into each family's parser: our own errors, and never a hang.

The long run is `python -m tests.bench.fuzz_at`.
"""

from typing import Any

import at_fuzz
import pytest
import vectors
from node.link import replies
from node.link.modems import bc95
from node.link.modems.quectel import Quectel

SEED = 20_260_101
CASES = 20_000


@pytest.mark.parametrize("family", vectors.FAMILIES)
def test_random_streams_raise_only_our_errors_and_never_hang(family: str) -> None:
    drawn = 0
    for block in range(CASES // at_fuzz.BLOCK):
        drawn += at_fuzz.run_block(family, SEED, block)
    assert drawn >= CASES


def test_the_same_seed_draws_the_same_streams() -> None:
    assert at_fuzz.run_block("bc95", 7, 3) == at_fuzz.run_block("bc95", 7, 3)


def plain_hex(text: str, length: int | None) -> bytes:
    return bytes.fromhex(text)


def third_field(self: Any, line: str) -> Any:
    return self._sockets[int(line.split(",")[1])]


def of_commas(self: Any, line: str, payload: object) -> float:
    return 1 / line.count(",")


def blocks(family: str) -> None:
    for block in range(CASES // at_fuzz.BLOCK):
        at_fuzz.run_block(family, SEED, block)


@pytest.mark.parametrize(
    ("family", "place", "name", "sabotage"),
    [
        ("bc95", bc95, "_bytes", plain_hex),
        ("ec200", Quectel, "_socket", third_field),
        ("bc660k", replies, "whole", int),
        ("bc95", bc95.Bc95, "_on_closed", of_commas),
    ],
)
def test_a_parser_that_trusts_the_modem_is_found(
    monkeypatch: pytest.MonkeyPatch, family: str, place: Any, name: str, sabotage: Any
) -> None:
    """Sabotage: what one careless line would do."""
    monkeypatch.setattr(place, name, sabotage)
    with pytest.raises((ValueError, LookupError, ZeroDivisionError, TypeError)):
        blocks(family)
