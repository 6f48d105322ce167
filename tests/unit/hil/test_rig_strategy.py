"""What the strategy does to a place, and what it remembers."""

from typing import Any

import pytest
import rig_fakes

from hil.errors import NodeFault
from hil.faults import RigFault


def test_what_lies_in_flash_is_not_written_again() -> None:
    strategy, board, _ = rig_fakes.place()
    strategy.begin()
    strategy.bring("online")
    assert board.did == ["renew", "flash gas-meter", "provision gas-meter", "reset"]
    board.did.clear()
    strategy.begin()
    strategy.bring("online")
    assert board.did == ["renew", "reset"]


def test_another_configuration_comes_by_the_prompt_and_goes_again() -> None:
    strategy, board, fleet = rig_fakes.place()
    strategy.bring("online")
    for config in ({"report_s": 3600}, {}, {}):
        strategy.wants("gas-meter", config, fleet)
        strategy.bring("online")
    assert [did for did in board.did if did.startswith("conf")] == [
        "configure 3600",
        "configure 86400",
    ]
    strategy.reconfigured()  # a test sent one over the air
    strategy.bring("online")
    assert board.did[-2:] == ["configure 86400", "reset"]


def test_a_node_that_an_earlier_test_spoilt_is_made_anew_and_one_that_is_new_is_not() -> None:
    strategy, board, _ = rig_fakes.place()
    strategy.bring("online")
    board.boots = False
    strategy.bring("online")
    assert strategy.made_anew.startswith("paper-1: node 0000000001 did not report")
    assert board.did[-4:] == ["flash gas-meter", "forget", "provision gas-meter", "reset"]
    strategy.bring("online")
    assert strategy.made_anew == "", "the next test has nothing to tell of it"

    fresh, dead, fleet = rig_fakes.place()
    fleet.reports = 0
    dead.booted = lambda: None
    with pytest.raises(NodeFault, match="did not report"):
        fresh.bring("online")
    assert dead.did.count("flash gas-meter") == 1
    assert fresh.broken is None


def starts(strategy: Any, status: str) -> bool:
    try:
        strategy.bring(status)
    except NodeFault:
        return False
    return True


def test_a_node_that_starts_no_more_from_blank_flash_breaks_its_place() -> None:
    """As where RXD and TXD are crossed: it boots, and reports to nobody."""
    strategy, board, fleet = rig_fakes.place()
    board.booted = lambda: None
    assert starts(strategy, "provisioned")
    assert not starts(strategy, "online")
    assert strategy.made_anew
    assert strategy.broken is None, "once may be chance"
    assert starts(strategy, "off"), "which says nothing about reports"
    assert starts(strategy, "provisioned")
    assert not starts(strategy, "online")
    assert "2 starts in sequence failed, from blank flash: paper-1: node" in str(strategy.broken)
    with pytest.raises(RigFault, match="given up before"):
        strategy.bring("online")
    assert fleet.reports == 0


def test_a_start_that_goes_well_forgives_the_one_before() -> None:
    strategy, board, fleet = rig_fakes.place()
    reports, board.booted = board.booted, lambda: None
    for _ in range(3):
        assert not starts(strategy, "online")
        board.booted = reports
        assert starts(strategy, "online")
        board.booted, fleet.reports = (lambda: None), 0
    assert strategy.broken is None


def test_a_fault_of_the_rig_breaks_the_strategy_until_somebody_mends_it() -> None:
    strategy, board, _ = rig_fakes.place()
    board.faults = 1
    with pytest.raises(RigFault, match="loose"):
        strategy.transition("online")
    with pytest.raises(RigFault, match="given up before: the cable is loose"):
        strategy.transition("off")
    strategy.broken = None
    strategy.transition("online")
    assert strategy.status.name == "online"


def test_another_node_type_is_flashed_and_gets_an_identity_of_its_own() -> None:
    strategy, board, fleet = rig_fakes.place()
    strategy.bring("flashed")
    strategy.wants("gateway", {}, fleet)
    strategy.bring("asleep")
    assert [did for did in board.did if " g" in did] == [
        "flash gas-meter",
        "flash gateway",
        "provision gateway",
    ]
