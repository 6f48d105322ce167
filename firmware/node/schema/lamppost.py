"""Keys of a lamppost."""

from . import INVALID, SchemaError
from .common import whole

RULES: "dict[str, tuple]" = {  # type: ignore[type-arg]
    "sample_s": (int, 0, 86400, 3600),  # between two records; 0: 900
    "watch_s": (int, 10, 3600, 60),  # between two looks at lamp, door, water, leakage, tilt
    "utc_offset_s": (int, -43200, 50400, 28800),  # of the plan's clock
    "latitude_udeg": (int, -90000000, 90000000, 23130000),  # WGS 84, north; twilight is minutes
    "longitude_udeg": (int, -180000000, 180000000, 113260000),  # off where this is 50 km off
    # ["dusk-10", 1000, "23:00", 500, "dawn+5", 0]: minutes from civil twilight, or the clock;
    # permille. In the order of a night; the last one that has come holds.
    "lamp_plan": (list, 48, ["dusk", 1000, "23:00", 500, "05:30", 1000, "dawn", 0]),
    "lamp_driver": (str, 4, "pwm"),  # "pwm" for 0-10 V and PWM, "dali"
    "dali_address": (int, 0, 255, 255),  # 0..63 a short address; 255 whatever is on the line
    "full_scale": (int, 1, 10000000, 10000),  # of the supply's divider, mV
    "low_uv": (int, 0, 3300000, 600000),
    "high_uv": (int, 1, 3300000, 3000000),
    "supply_least_mv": (int, 0, 1000000, 0),  # below it power_lost; 0: off
    "lamp_dw": (int, 0, 100000, 0),  # what the lamp takes at 1000 permille, 0.1 W; 0: not watched
    "fail_permille": (int, 0, 900, 300),  # of that, at its dim: below it the lamp failed; 0: off
    "idle_dw": (int, 0, 100000, 100),  # more than this while it is off: lamp_by_day; 0: off
    "fail_s": (int, 0, 3600, 120),  # how long either must last
    "leakage_scale_ma": (int, 1, 10000, 300),  # leakage at `high_uv` of its input
    "leakage_ma": (int, 0, 10000, 30),  # leakage from here on; 0: off
    "leakage_trip": (int, 0, 1, 0),  # 1: and the lamp goes off until it is commanded on
    "tilt_ddeg": (int, 0, 900, 50),  # 0.1 degree from upright: pole_tilt; 0: off
    "tilt_s": (int, 0, 3600, 60),  # how long: wind sways a pole
    "upright": (int, 0, 65535, 0),  # another number: as it stands now is upright
    "water_s": (int, 0, 3600, 10),  # how long the water contact must be closed
}

_MOST_DIM = 1000
_MOST_MINUTES = 360  # from dusk or dawn


def steps(plan: list) -> list:  # type: ignore[type-arg]
    """The plan as [anchor, seconds, permille, ...]: anchor 0 the clock, seconds of its day; 1 dusk
    and 2 dawn, seconds from it. SchemaError names what is no plan.
    """
    flat: list = []  # type: ignore[type-arg]
    if len(plan) % 2:
        raise SchemaError("lamp_plan", INVALID, "lamp_plan takes pairs of time and permille")
    for time, dim in zip(plan[::2], plan[1::2]):
        if not whole(dim) or not 0 <= dim <= _MOST_DIM:
            raise SchemaError("lamp_plan", INVALID, "lamp_plan: dim is 0..1000 permille")
        flat.extend(_step(time))
        flat.append(dim)
    return flat


def _step(time: object) -> "tuple[int, int]":
    if isinstance(time, str):
        if time[:4] in ("dusk", "dawn"):
            anchor = 1 if time[:4] == "dusk" else 2
            sign = {"": 0, "+": 60, "-": -60}.get(time[4:5])
            minutes = _digits(time[5:], 3) if time[4:] else 0
            if sign is not None and 0 <= minutes <= _MOST_MINUTES:
                return anchor, sign * minutes
        elif len(time) == 5 and time[2] == ":":
            hour, minute = _digits(time[:2], 2), _digits(time[3:], 2)
            if 0 <= hour < 24 and 0 <= minute < 60:
                return 0, hour * 3600 + minute * 60
    raise SchemaError(
        "lamp_plan",
        INVALID,
        "lamp_plan: a time is HH:MM, or up to 360 minutes from dusk or dawn",
    )


def _digits(text: str, most: int) -> int:
    # -1 for what is no number of decimal digits.
    if not 0 < len(text) <= most:
        return -1
    for digit in text:
        if digit not in "0123456789":
            return -1
    return int(text)


def check(values: dict) -> None:  # type: ignore[type-arg]
    """SchemaError where keys contradict each other."""
    if values["high_uv"] <= values["low_uv"]:
        raise SchemaError("high_uv", INVALID, "high_uv is not above low_uv")
    if values["lamp_driver"] not in ("pwm", "dali"):
        raise SchemaError("lamp_driver", INVALID, "lamp_driver is pwm or dali")
    if 63 < values["dali_address"] < 255:
        raise SchemaError("dali_address", INVALID, "dali_address is 0..63, or 255 for all")
    steps(values["lamp_plan"])
