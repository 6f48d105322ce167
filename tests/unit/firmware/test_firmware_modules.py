"""What the rigs load anew is bound to their own chip, whatever tests before them left behind."""

import sys
import types

import node.sense  # noqa: F401  the package outlives each test
import pytest
from firmware_modules import forget, fresh, restored
from pole_rig import PINS, Pole, poles

TILT = 20  # of wire/quantity.py
LEANING = (130, 0, 991)  # 7 degrees


def stale(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """node.sense.tilt of a chip without pins: popped, and still its package's attribute."""
    monkeypatch.setitem(sys.modules, "machine", types.ModuleType("machine"))
    module = fresh("sense.tilt")
    del sys.modules["node.sense.tilt"]
    return module  # type: ignore[no-any-return]


def lean(pole: Pole) -> int:
    """What it records, 0.1 degree, once somebody drove against it."""
    pole.tilt.turn(*LEANING)
    pole.until(pole.now + 900)
    return pole.journal.values()[TILT]


def test_a_rig_after_a_stale_module_has_its_own_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    stale(monkeypatch)
    (make,) = poles(monkeypatch)
    pole = make()
    pole.wake()  # which takes the upright
    assert lean(pole) >= 70
    from node.sense import tilt

    assert tilt.Tilt(PINS["scl"], PINS["sda"]).read() == LEANING


def test_each_pole_of_a_test_is_felt_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    (make,) = poles(monkeypatch)
    make().wake()  # which takes the upright, for the next one too
    assert lean(make()) >= 70


def test_a_module_that_is_only_popped_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why `forget` is more than that."""
    popped = stale(monkeypatch)
    from node.sense import tilt

    assert tilt is popped
    forget("sense.tilt")
    from node.sense import tilt as again

    assert again is not popped


def test_what_a_test_left_stale_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: each for name, each in sys.modules.items() if name.startswith("node.")}
    attributes = {name: dict(vars(each)) for name, each in before.items()}
    with restored():
        stale(monkeypatch)
        fresh("sense.plausible")
        forget("wire")
    after = {name: each for name, each in sys.modules.items() if name.startswith("node.")}
    assert after == before
    assert {name: dict(vars(each)) for name, each in after.items()} == attributes
