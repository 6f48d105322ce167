"""Keys of a survey node."""

from . import BELOW, INVALID, SchemaError
from .common import whole

_AROUND_S = 60  # of a wake's half: the radio off and on, and the modem as it was before

RULES: "dict[str, tuple]" = {  # type: ignore[type-arg]
    "survey_s": (int, 0, 604800, 86400),  # from one walk to the next; 0: by the button only
    # MCC and MNC of each operator: China Mobile, Unicom and Telecom.
    "operators": (list, 8, [46000, 46001, 46011]),
    "bands": (list, 8, []),  # each of them alone; none: whichever the modem finds
    "search_s": (int, 20, 240, 80),  # for one operator on one band
    "looks": (int, 1, 10, 3),  # at each cell
}


def check(values: dict) -> None:  # type: ignore[type-arg]
    """SchemaError where keys contradict each other."""
    for operator in values["operators"]:
        if not whole(operator) or not 100 <= operator <= 999999:
            raise SchemaError("operators", INVALID, "operators: MCC and MNC, 46000")
    for band in values["bands"]:
        if not whole(band) or not 1 <= band <= 88:
            raise SchemaError("bands", INVALID, "bands: 1..88")
    least = 2 * (values["search_s"] + _AROUND_S)  # cycle.py gives a poll half of the cap
    if values["awake_s"] < least:
        text = "awake_s is below %d: a search takes half of it" % least
        raise SchemaError("awake_s", BELOW, text)
