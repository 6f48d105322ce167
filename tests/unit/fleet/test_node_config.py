"""What a technician sets for a board is refused before anything of a token is used up."""

from typing import Any

import pytest

from fleet.flashing import hardware, node_config
from fleet.wire import cbor


@pytest.mark.parametrize(
    ("values", "door", "said"),
    [
        ({"litres_per_pulse": 5000}, "", "--set litres_per_pulse=5000: 1 to "),
        ({"litres_per_pulse": "ten"}, "", "--set litres_per_pulse=ten: 1 to "),
        ({"nonsense": 1}, "", "unknown key 'nonsense'"),
        ({"report_s": 1}, "", "report_s outside 60..604800"),
        ({}, "smoke", "no door 'smoke'"),
    ],
)
def test_what_no_board_would_take_is_refused(values: dict[str, Any], door: str, said: str) -> None:
    gas_meter = hardware.load_node_type("gas-meter")
    with pytest.raises(node_config.ConfigRefused, match=said):
        node_config.check(gas_meter, values, door)


def test_every_type_takes_its_own_defaults() -> None:
    for name in hardware.node_types():
        kind = hardware.load_node_type(name)
        node_config.check(kind, {})
        node_config.check(kind, {key: field.most for key, field in kind.calibration.items()})


@pytest.mark.parametrize(
    ("name", "updates", "given"),
    [
        ("lamppost", ("fleet", 8444), 8444),
        ("lamppost", ("elsewhere", 8444), None),  # a node knows one host only
        ("gas-meter", ("fleet", 8444), None),  # NB-IoT: by its door
    ],
)
def test_where_a_node_on_cat1_fetches_updates(
    name: str, updates: tuple[str, int], given: int | None
) -> None:
    doors = {"mqtt": ("fleet", 8883), "coap": ("fleet", 5683), "updates": updates}
    raw = node_config.compose(hardware.load_node_type(name), "1gntj14d2p", doors)
    values = cbor.decode(raw)
    assert isinstance(values, dict)
    assert values.get("updates") == given


def test_updates_are_no_door_of_their_own() -> None:
    doors = {"mqtt": ("fleet", 8883), "updates": ("fleet", 8444)}
    with pytest.raises(node_config.ConfigRefused, match=r"it has mqtt$"):
        node_config.compose(
            hardware.load_node_type("lamppost"), "1gntj14d2p", doors, door="updates"
        )
