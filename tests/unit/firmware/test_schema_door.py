"""The configuration's `door` and `lamp_plan`: what would shut a node out is refused beforehand."""

from typing import Any

import pytest
from node import schema

CONFIG = {
    "node": "1gntj14d2p",
    "role": "lamppost",
    "modem": "ec200",
    "host": "fleet.test",
    "port": 8883,
    "pins": {"tx": 17, "rx": 16},
}


@pytest.mark.parametrize("door", ["mqtt", "coap"])
def test_a_door_is_taken(door: str) -> None:
    assert schema.check({**CONFIG, "door": door})["door"] == door


def test_no_door_need_be_named() -> None:
    assert "door" not in schema.check(CONFIG)


@pytest.mark.parametrize("door", ["", "http", "COAP", None, 1, ["coap"]])
def test_another_door_is_refused(door: Any) -> None:
    with pytest.raises(ValueError, match="door"):
        schema.check({**CONFIG, "door": door})


@pytest.mark.parametrize("bearers", [[], ["modem"]])
def test_coap_goes_by_the_modems_own_sockets(bearers: list[str]) -> None:
    assert schema.check({**CONFIG, "door": "coap", "bearers": bearers})


@pytest.mark.parametrize("bearers", [["ppp"], ["modem", "ppp"]])
def test_coap_by_another_bearer_is_refused(bearers: list[str]) -> None:
    with pytest.raises(ValueError, match="bearers"):
        schema.check({**CONFIG, "door": "coap", "bearers": bearers})


@pytest.mark.parametrize("plan", [[], [0, 1000], [0, 0, 86399, 1000]])
def test_a_plan_is_taken(plan: list[int]) -> None:
    assert schema.check({**CONFIG, "lamp_plan": plan})["lamp_plan"] == plan


@pytest.mark.parametrize(
    "plan",
    [[0], [0, 1001], [0, -1], [-1, 0], [86400, 0], [5, 0, 5, 1], [9, 0, 5, 1], ["0", 1],
     [0, None], [True, 1], [0, [1]]],
)  # fmt: skip
def test_a_plan_that_no_lamp_can_follow_is_refused(plan: list[Any]) -> None:
    with pytest.raises(ValueError, match="lamp_plan"):
        schema.check({**CONFIG, "lamp_plan": plan})
