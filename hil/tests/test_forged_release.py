"""A release that was forged within the fleet, where nobody looks at its signature any more."""

import contextlib
import sqlite3

import pytest

from fleet.wire import release
from hil.fleet import Fleet
from hil.node import Node
from hil.releases import Pair
from hil.tests.test_updates import UPDATE_S, image, offered, pair, slot

__all__ = ["pair"]
pytestmark = [pytest.mark.node("gas-meter"), pytest.mark.start("off")]


def swap(fleet: Fleet, sequence: int, envelope: bytes | None) -> bytes:
    """Another envelope for a release in the fleet's database, while it stands still; None: its
    own, with one bit of the signature changed. The one that it had.
    """
    fleet.stop()  # what it has built of it is forgotten
    path = fleet.data / "kapok.db"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        (held,) = database.execute(
            "SELECT envelope FROM releases WHERE sequence = ?", (sequence,)
        ).fetchone()
        if envelope is None:
            manifest, ((kid, signature, modulus), *more) = release.unseal(held)
            signature = signature[:-1] + bytes((signature[-1] ^ 1,))
            envelope = release.seal(manifest, [(kid, signature, modulus), *more])
        database.execute(
            "UPDATE releases SET envelope = ? WHERE sequence = ?", (envelope, sequence)
        )
    fleet.start()
    return bytes(held)


@pytest.mark.requirement("K-UPD-06")
@pytest.mark.needs("stimulus")
def test_a_signature_with_one_wrong_bit_is_refused_by_the_node(
    node: Node, fleet: Fleet, pair: Pair
) -> None:
    held = swap(fleet, pair.then, None)
    try:
        offered(node, fleet, pair.then)
        fleet.releases.wait(node, pair.then, "rejected", UPDATE_S)
        assert fleet.releases.reason(node, pair.then) == "bad-signature"
        assert slot(node) == (["a", "-", "good"], image(pair.base_bundle))
    finally:
        swap(fleet, pair.then, held)
