"""The codes of quantities and events, and the decimals of their values: what a stored series and a
node in the field mean by them, whatever the sources say later.
"""

import csv
from pathlib import Path

from fleet.wire import quantity

VECTORS = Path(__file__).parents[2] / "vectors"


def rows(name: str) -> list[list[str]]:
    """Of a table of tests/vectors, to which rows are added and of which none ever changes."""
    with (VECTORS / name).open() as file:
        return list(csv.reader(file))[1:]


def test_a_quantity_keeps_its_code_its_unit_and_its_decimals() -> None:
    assert {
        int(code): (name, unit, int(decimals))
        for code, name, unit, decimals in rows("quantities.csv")
    } == quantity.QUANTITIES


def test_an_event_keeps_its_code() -> None:
    assert {int(code): name for code, name in rows("events.csv")} == quantity.EVENTS
    assert quantity.EVENT == 1000


def test_quantities_that_code_speaks_of_are_those_of_the_table() -> None:
    for name in (
        "GAS_VOLUME",
        "LEVEL",
        "GAS_VOLUME_DAY",
        "GAS_VOLUME_MONTH",
        "GAS_REVERSE",
        "SUB_DEVICE",
    ):
        assert quantity.QUANTITIES[getattr(quantity, name)][0] == name.lower()
    assert quantity.QUANTITIES[quantity.SUB_DEVICE][0] == "sub_device"
    own = {code for code in quantity.QUANTITIES if code in quantity.ABOUT_ITSELF}
    assert own == {code for code in quantity.QUANTITIES if code >= 900}
    assert range(900, 1000) == quantity.ABOUT_ITSELF
