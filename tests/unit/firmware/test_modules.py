"""Modules that leave the heap, and come back when they are imported again."""

import sys
from collections.abc import Callable

import firmware_modules
import pytest
from node import modules
from node.modules import forget


@pytest.fixture(autouse=True, params=[firmware_modules.slow_forget, firmware_modules.quick_forget])
def _either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The firmware's own, and the one that stands in for it in these tests' process."""
    way: Callable[[str], None] = request.param
    monkeypatch.setattr(modules, "_forget", way)


def test_a_forgotten_module_is_held_by_nothing_and_loads_again() -> None:
    import node
    from node import schema as first

    forget("node.schema")
    assert "node.schema" not in sys.modules
    assert not hasattr(node, "schema")
    from node import schema as again

    assert again is not first
    assert again.ROLES == first.ROLES


def test_forgetting_what_was_never_loaded_changes_nothing() -> None:
    before = dict(sys.modules)
    forget("node.nothing")
    assert sys.modules == before


def test_what_lies_below_a_forgotten_package_goes_with_it() -> None:
    import node
    from node.wire import cbor as first

    kept = {name: module for name, module in sys.modules.items() if name.startswith("node.wire")}
    try:
        forget("node.wire")
        assert not [name for name in sys.modules if name.startswith("node.wire")]
        assert not hasattr(node, "wire")
        from node.wire import cbor as again

        assert again is not first
    finally:  # others hold the first ones
        sys.modules.update(kept)
        node.wire = kept["node.wire"]
