"""The configuration's `bearers`: a list of at most four short names."""

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


@pytest.mark.parametrize("bearers", [[], ["ppp", "modem"], ["modem"] * 4])
def test_names_are_taken(bearers: list[str]) -> None:
    assert schema.check({**CONFIG, "bearers": bearers})["bearers"] == bearers


def test_none_need_be_named() -> None:
    assert not schema.check(CONFIG).get("bearers")


@pytest.mark.parametrize(
    "bearers", ["ppp", None, {"ppp": 1}, ["ppp"] * 5, [1], [["ppp"]], ["p" * 17]]
)
def test_anything_else_is_refused(bearers: Any) -> None:
    with pytest.raises(ValueError, match="bearers"):
        schema.check({**CONFIG, "bearers": bearers})
