"""Keys of a lamppost."""

from . import INVALID, SchemaError
from .common import check_awake, whole
from .gateway import RULES as _LINE
from .gateway import check_devices

# Where there may be none, the number behind "none" holds: it is in roles/pole.py, and takes no
# heap on the nodes that do not say otherwise. A threshold of 0 switches its event off.
RULES: "dict[str, tuple]" = {  # type: ignore[type-arg]
    "sample_s": (int, 60, 86400, 900),  # between two records
    "watch_s": (int, 10, 3600, 60),  # between two looks at lamp, door, water, leakage, tilt
    "utc_offset_s": (int, -43200, 50400, 28800),  # of the plan's clock
    "latitude_udeg": (int, -90000000, 90000000, 23130000),  # WGS 84, north; twilight is minutes
    "longitude_udeg": (int, -180000000, 180000000, 113260000),  # off where this is 50 km off
    # ["dusk-10", 1000, "23:00", 500, "dawn+5", 0]: minutes from civil twilight, or the clock;
    # permille. In the order of a night; the last one that has come holds.
    "lamp_plan": (list, 48, ["dusk", 1000, "23:00", 500, "05:30", 1000, "dawn", 0]),
    "lamp_driver": (str, 4, None),  # "dali", or none: "pwm", which is 0-10 V too
    "dali_address": (int, 0, 255, None),  # 0..63 a short address; none or 255: all on the line
    # Of the lamp's own circuit: [profile, address], or with a baud rate behind, as in `devices`.
    "meter": (list, 3, []),
    # Other devices on the RS-485 line, sub-devices with assets of their own (schema/gateway.py).
    "devices": _LINE["devices"],
    "silent_polls": _LINE["silent_polls"],
    "backoff_most_s": _LINE["backoff_most_s"],
    "full_scale": (int, 1, 10000000, 10000),  # of the supply's divider, mV
    "low_uv": (int, 0, 3300000, 600000),
    "high_uv": (int, 1, 3300000, 3000000),
    "supply_least_mv": (int, 0, 1000000, None),  # below it power_lost; none: 0, off
    "lamp_dw": (int, 0, 100000, None),  # the lamp at 1000 permille, 0.1 W; none: 0, not watched
    "fail_permille": (int, 0, 900, None),  # of that, at its dim: below it it failed; none: 300
    "idle_dw": (int, 0, 100000, None),  # more than this while it is off: lamp_by_day; none: 100
    "fail_s": (int, 0, 3600, None),  # how long either must last; none: 120
    "leakage_scale_ma": (int, 1, 10000, None),  # leakage at high_uv of its input; none: 300
    "leakage_ma": (int, 0, 10000, None),  # leakage from here on; none: 30
    "leakage_trip": (int, 0, 1, None),  # 1: the lamp goes off until it is commanded on; none: 0
    "tilt_ddeg": (int, 0, 900, None),  # 0.1 degree from upright: pole_tilt; none: 50
    "tilt_s": (int, 0, 3600, None),  # how long: wind sways a pole; none: 60
    "upright": (int, 0, 65535, None),  # another number: as it stands now is upright; none: 0
    "water_s": (int, 0, 3600, None),  # how long the water contact must be open; none: 10
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
    driver = values.get("lamp_driver", "pwm")
    if driver not in ("pwm", "dali"):
        raise SchemaError("lamp_driver", INVALID, "lamp_driver is pwm or dali")
    for pin in ("scl", "sda"):
        if driver == "dali" and pin not in values["pins"]:
            raise SchemaError("lamp_driver", INVALID, "lamp_driver: this board has no DALI bridge")
    if 63 < values.get("dali_address", 255) < 255:
        raise SchemaError("dali_address", INVALID, "dali_address is 0..63, or 255 for all")
    steps(values["lamp_plan"])
    check_devices(values["devices"])
    if values["meter"]:
        try:
            check_devices([[1] + values["meter"]])
        except SchemaError as e:
            raise SchemaError("meter", e.code, "meter: [profile, address], of " + str(e))
    if (values["meter"] or values["devices"]) and "bus_tx" not in values["pins"]:
        raise SchemaError("devices", INVALID, "meter and devices: this board has no RS-485 line")
    if values["meter"] or values["devices"]:
        check_awake(values, values["awake_s"] // 2)  # cycle.py cuts a poll there
