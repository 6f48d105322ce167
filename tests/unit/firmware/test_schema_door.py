"""The configuration's `door`: what would shut a node out is refused beforehand."""

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
