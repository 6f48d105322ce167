"""Units as other systems write them, to the scale of a quantity and back. Exact, no floats."""

import unicodedata
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

from fleet.bridge.errors import Unmapped
from fleet.telemetry import derived
from fleet.telemetry.operations import quantity_name
from fleet.wire.quantity import EVENT, EVENTS

MOST = (1 << 62) - 1  # of a stored value
_DIMENSIONS: dict[str, dict[str, Fraction]] = {
    "volume": {"m3": Fraction(1), "l": Fraction(1, 1000), "ml": Fraction(1, 10**6)},
    "energy": {
        "kwh": Fraction(1), "wh": Fraction(1, 1000), "mwh": Fraction(1000),
        "gj": Fraction(2500, 9), "mj": Fraction(5, 18),
    },
    "length": {"m": Fraction(1), "cm": Fraction(1, 100), "mm": Fraction(1, 1000)},
    "flow": {
        "m3/h": Fraction(1), "l/h": Fraction(1, 1000), "l/s": Fraction(18, 5),
        "m3/s": Fraction(3600), "l/min": Fraction(3, 50),
    },
    "mass": {"kg": Fraction(1), "g": Fraction(1, 1000), "mg": Fraction(1, 10**6)},
    "concentration": {
        "mg/l": Fraction(1), "ug/l": Fraction(1, 1000), "ng/l": Fraction(1, 10**6),
    },
    "speed": {"m/s": Fraction(1), "cm/s": Fraction(1, 100), "m/h": Fraction(1, 3600)},
    "rate": {"mm/h": Fraction(1)},
    "pressure": {
        "kpa": Fraction(1), "pa": Fraction(1, 1000), "hpa": Fraction(1, 10),
        "mpa": Fraction(1000), "bar": Fraction(100), "mbar": Fraction(1, 10),
    },
    "voltage": {"v": Fraction(1), "mv": Fraction(1, 1000), "kv": Fraction(1000)},
    "current": {"a": Fraction(1), "ma": Fraction(1, 1000)},
    "power": {"w": Fraction(1), "kw": Fraction(1000)},
    "reactive": {"var": Fraction(1), "kvar": Fraction(1000)},
    "dust": {
        "ug/m3": Fraction(1), "mg/m3": Fraction(1000), "ng/m3": Fraction(1, 1000),
    },
    "share": {"%": Fraction(1), "%rh": Fraction(1)},
    "explosive": {"%lel": Fraction(1)},
    "gas": {"ppm": Fraction(1), "ppb": Fraction(1, 1000)},
    "angle": {"deg": Fraction(1)},
    "temperature": {"degc": Fraction(1)},
    "frequency": {"hz": Fraction(1)},
    "sound": {"db": Fraction(1), "db(a)": Fraction(1)},
    "signal": {"dbm": Fraction(1)},
    "time": {"s": Fraction(1), "ms": Fraction(1, 1000), "h": Fraction(3600), "d": Fraction(86400)},
    "bytes": {"b": Fraction(1)},
}  # fmt: skip
_OTHER = {"°c": "degc", "℃": "degc", "°": "deg", "nm3": "m3"}


def of_quantity(code: int) -> tuple[str, int]:
    """(unit, decimals) in which a quantity is stored; ("", 0) for an event."""
    found = derived.entry(code)
    if found is not None:
        return found[1], found[2]
    if code - EVENT in EVENTS:
        return "", 0
    raise KeyError(code)


def ratio(unit: str, code: int) -> Fraction | None:
    """How many of a quantity's unit one of `unit` is; None where it measures something else.

    An empty unit is the quantity's own.
    """
    own = of_quantity(code)[0]
    if unit == "":
        return Fraction(1)
    return between(unit, own)


def between(unit: str, other: str) -> Fraction | None:
    """How many of `other` one of `unit` is; None where they measure different things."""
    one, two = _plain(unit), _plain(other)
    if one == two:
        return Fraction(1)
    for units in _DIMENSIONS.values():
        if one in units and two in units:
            return units[one] / units[two]
    return None


def scaled(number: Decimal, factor: Fraction, code: int, may_round: bool) -> int:
    """A number of another system as the quantity's integer; Unmapped.

    What is finer than the quantity is rounded half to even if it may be, and refused otherwise.
    """
    decimals = of_quantity(code)[1]
    exact = Fraction(number) * factor * 10**decimals
    if exact.denominator != 1 and not may_round:
        raise Unmapped(
            f"{number} is finer than {decimals} decimals of {quantity_name(code)}: round = true"
        )
    value: int = round(exact)  # half to even
    if abs(value) > MOST:
        raise Unmapped(f"{str(number)[:40]} is too large")
    return value


def usual_decimals(code: int, factor: Fraction) -> int:
    """Decimals that tell no less than what is stored, 9 at most, in a unit one of which is
    `factor` of the quantity's.
    """
    decimals, step = of_quantity(code)[1], Fraction(1)
    while step < factor:
        step, decimals = step * 10, decimals + 1
    while step / 10 >= factor:
        step, decimals = step / 10, decimals - 1
    return min(max(decimals, 0), 9)


def told(value: int, code: int, factor: Fraction, decimals: int) -> Decimal:
    """A stored value in another unit, one of which is `factor` of the quantity's, with so many
    decimals, rounded half to even.
    """
    try:
        own = of_quantity(code)[1]
    except KeyError:
        own = 0
    exact = Fraction(value, 10**own) / factor
    with localcontext() as context:
        context.prec = 60
        number = Decimal(exact.numerator) / Decimal(exact.denominator)
        return number.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)


def _plain(unit: str) -> str:
    text = unicodedata.normalize("NFKC", unit).strip().lower().replace(" ", "")
    text = text.replace("\u03bc", "u")  # NFKC makes this mu of both of them
    return _OTHER.get(text, text)
