"""The plain verdict of `kapok diag`, from what nodes tell."""

from typing import Any

import pytest

from fleet.flashing.verdicts import FATAL, GOOD, WARNING, judge

WELL: dict[str, Any] = {
    "slot": {"mounted": True}, "config": {"role": "gas-meter"}, "credentials": {"cert": 500},
    "journal": {"depth": 3, "dropped": 0}, "reset_cause": 1,
}  # fmt: skip
IDENTITY = {"iccid": "89860012345678901234", "imei": "490154203237518"}


def codes(**told: Any) -> list[tuple[str, str]]:
    return [(v.level, v.code) for v in judge({"facts": WELL, **told})]


def radio(error: str = "", cause: int = 0, **more: Any) -> dict[str, Any]:
    attach = {"error": error, "code": 15, "cause": cause} if error else {}
    return {"modem": "ok", "attach": attach, "identity": IDENTITY, **more}


def test_a_node_that_is_well_is_said_to_be() -> None:
    assert codes() == [(GOOD, "node.well")]
    contact = {"depth_before": 3, "depth": 0}
    signal = {"rsrp_dbm": -90, "ecl": 0}
    assert codes(radio=radio(signal=signal), contact=contact) == [(GOOD, "contact.done")]


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (6, "sim.locked"),
        (5, "sim.locked"),
        (3, "sim.subscription"),
        (11, "network.roaming"),
        (22, "network.refused"),
    ],
)
def test_what_the_network_refuses_says_whose_hand_is_needed(cause: int, code: str) -> None:
    (verdict,) = judge({"facts": WELL, "radio": radio("AttachRefused", cause)})
    assert (verdict.level, verdict.code) == (FATAL, code)
    assert verdict.values["iccid"] == IDENTITY["iccid"]


@pytest.mark.parametrize("sim", ["absent", "pin", "puk", "failure"])
def test_a_sim_that_does_not_work_is_named_before_the_network(sim: str) -> None:
    told = radio("AtError", 10, sim=sim)
    assert codes(radio=told) == [(FATAL, f"sim.{sim}")]


def test_no_network_is_told_from_one_that_is_silent() -> None:
    deaf = radio("AttachTimeout", signal={"rsrp_dbm": None})
    assert codes(radio=deaf) == [(FATAL, "network.none")]
    silent = radio("AttachTimeout", signal={"rsrp_dbm": -100})
    assert codes(radio=silent) == [(FATAL, "network.silent")]


def test_the_worst_comes_first() -> None:
    facts = {**WELL, "journal": {"depth": 2500, "dropped": 4}, "reset_cause": 3}
    told = {"facts": facts, "radio": {"failed": {"error": "ModemMute"}}}
    found = [(v.level, v.code) for v in judge(told)]
    assert found == [
        (FATAL, "modem.mute"),
        (WARNING, "reset.watchdog"),
        (WARNING, "journal.full"),
        (WARNING, "journal.dropped"),
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [(16, "fleet.unreachable"), (17, "fleet.tls"), (18, "fleet.refused"), (19, "fleet.silent")],
)
def test_a_contact_that_fails_behind_the_attach_names_the_place(error: int, code: str) -> None:
    contact = {"depth_before": 1, "depth": 1, "error": error, "cause": 7}
    assert codes(radio=radio(signal={}), contact=contact) == [(FATAL, code)]


def test_an_unprovisioned_node_and_one_with_a_voucher() -> None:
    bare = {**WELL, "config": {"error": "ConfigError: NVS has no 'cfg'"}, "credentials": {}}
    assert [v.code for v in judge({"facts": bare})] == ["config.bad"]
    vouched = {**WELL, "credentials": {"cert": 0, "vcert": 400}}
    assert [v.code for v in judge({"facts": vouched})] == ["identity.voucher"]
