"""20,000 damaged frames for each codec of legacy protocols; a million each: `make soak-legacy`."""

import legacy_fuzz
import pytest

from fleet.legacy.protocols.catalogue import NAMES

CASES = 20_000


@pytest.mark.parametrize("protocol", NAMES)
def test_damaged_frames_are_frames_or_refused(protocol: str) -> None:
    good = sum(
        legacy_fuzz.run_block(protocol, seed=1, block=block)[0]
        for block in range(CASES // legacy_fuzz.BLOCK)
    )
    assert CASES // 20 < good < CASES  # both ways were gone
