"""What an assignment sends is what the manifest has: no part less, none more, none of another size
or form.
"""

from typing import Any

import pytest
from node.update import manifest
from node.update.ends import Refused
from node.wire import release

APP, RUNTIME, MODEM, KEYS = release.APPLICATION, release.RUNTIME, release.MODEM, release.KEYS
PLAIN, DEFLATED, DELTA, FETCHED = range(4)


def whole(components: list[tuple[int, int]], parts: list[tuple[int, int, int]]) -> None:
    """By kind and size what is installed, and by kind, form and size what is sent."""
    m: Any = release.Manifest(
        1, b"", b"", "", "", (0, 0), (0, 0),
        [release.Component(kind, size, bytes(32), 0) for kind, size in components], [], 0,
    )  # fmt: skip
    sent = [(kind, form, size, b"") for kind, form, size in parts]
    manifest._whole(m, release.Assignment(1, b"", 0, 0, sent, b""))


@pytest.mark.parametrize(
    ("components", "parts"),
    [
        ([(APP, 100)], [(APP, PLAIN, 100)]),
        ([(APP, 100)], [(APP, DEFLATED, 40)]),
        ([(APP, 100)], [(APP, DELTA, 7)]),
        ([(MODEM, 500_000)], [(MODEM, FETCHED, 0)]),
        ([(APP, 100), (KEYS, 9)], [(KEYS, PLAIN, 9), (APP, DELTA, 7)]),
        ([(RUNTIME, 100), (MODEM, 9)], [(RUNTIME, PLAIN, 100), (MODEM, FETCHED, 0)]),
    ],
)
def test_what_fits(components: Any, parts: Any) -> None:
    whole(components, parts)


@pytest.mark.parametrize(
    ("components", "parts"),
    [
        ([(APP, 100)], []),
        ([(APP, 100)], [(RUNTIME, PLAIN, 100)]),
        ([(APP, 100)], [(APP, PLAIN, 100), (RUNTIME, PLAIN, 1)]),
        ([(APP, 100)], [(APP, PLAIN, 100), (APP, PLAIN, 100)]),
        ([(APP, 100), (KEYS, 9)], [(APP, PLAIN, 100)]),
        ([(APP, 100), (KEYS, 9)], [(APP, PLAIN, 100), (RUNTIME, PLAIN, 9)]),
        ([(APP, 100)], [(APP, PLAIN, 99)]),
        ([(APP, 100)], [(APP, PLAIN, 101)]),
        ([(APP, 100)], [(APP, FETCHED, 0)]),
        ([(MODEM, 100)], [(MODEM, PLAIN, 100)]),
        ([(MODEM, 100)], [(MODEM, DEFLATED, 10)]),
        ([(MODEM, 100)], [(MODEM, FETCHED, 1)]),
    ],
)
def test_what_does_not(components: Any, parts: Any) -> None:
    with pytest.raises(Refused) as caught:
        whole(components, parts)
    assert caught.value.result == release.MALFORMED


@pytest.mark.parametrize(
    ("sequence", "result"), [(5, release.ALREADY), (2, release.OLDER), (3, None), (4, None)]
)
def test_a_sequence_at_the_floor_may_be_installed_again(sequence: int, result: Any) -> None:
    here: Any = manifest.Here(*[None] * len(manifest.Here._fields))._replace(floor=3, runs=5)
    if result is None:
        manifest.newer(sequence, here)
        return
    with pytest.raises(Refused) as caught:
        manifest.newer(sequence, here)
    assert caught.value.result == result
