"""Whole nodes take a release from a whole fleet: `make soak-update-nodes` with three of them."""

from pathlib import Path

from tests.bench.update_nodes import verdicts
from tests.bench.update_street import COVERAGE, Street

CUTS = 2
TABLE = 2_000  # bytes


async def test_a_street_confirms_a_delta_whatever_befalls_it(tmp_path: Path) -> None:
    street = Street(tmp_path, 3, TABLE)
    try:
        await street.open(len(COVERAGE))
        await street.deliver([1], CUTS)
        assert verdicts(street, 1, CUTS) == []
        assert street._query("SELECT DISTINCT sequence FROM running") == [(42,)]
    finally:
        await street.close()
