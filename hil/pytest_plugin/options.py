"""Options and markers of `pytest hil`."""

import pytest

MARKERS = (
    "requirement(id, ...): what the test proves, ids of hil/requirements.toml; each test has one",
    "node(type, config={...}): the node type that the test wants; gas-meter without it",
    "start(state): how far the strategy brings the node before the test; online without it",
    "needs(capability, ...): skipped on a rig of which no place has them all (docs/hil.md)",
    "soak: waits two hours or more on a bench, where it runs with --soak only",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, in a group of their own."""
    group = parser.getgroup("hil", "hardware in the loop")
    group.addoption("--rig", metavar="FILE", help="the rig: hil/rigs/virtual.yaml, or a bench's")
    group.addoption(
        "--place", action="append", default=[], metavar="NAME",
        help="only this place of the rig; may be given several times",
    )  # fmt: skip
    group.addoption(
        "--coordinator", metavar="HOST:PORT",
        help="reserve places at this labgrid coordinator, so that jobs share the bench",
    )  # fmt: skip
    group.addoption(
        "--reserve-wait", type=float, default=3600.0, metavar="SECONDS",
        help="how long to wait for a reserved place (3600)",
    )  # fmt: skip
    group.addoption("--soak", action="store_true", help="also run what takes hours")
    group.addoption(
        "--within", type=float, metavar="SECONDS", help="fail a run that takes longer altogether"
    )
    group.addoption(
        "--measure", action="store_true",
        help="write what test_measure.py finds to hw/measured/boards",
    )  # fmt: skip
    group.addoption(
        "--requirements",
        metavar="FILE",
        help="requirements that tests name (hil/requirements.toml)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
