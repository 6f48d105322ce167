"""Keys of a drainage point."""

from . import INVALID, SchemaError
from .common import check_awake

# Where there may be none, the number behind "none" holds: it is in roles/manhole.py, and takes no
# heap on the nodes that do not say otherwise. A threshold of 0 switches its event off.
FITTED = {
    "velocity": ("velocity",), "rain": ("rain",), "tilt": ("scl", "sda"), "cover": ("cover",),
    "water": ("water",), "h2s": ("h2s",), "ch4": ("ch4",), "supply": ("supply",),
}  # fmt: skip

RULES: "dict[str, tuple]" = {  # type: ignore[type-arg]
    # How often it samples, by what the water does; 0: only when a sensor wakes the node.
    "sample_s": (int, 0, 86400, 3600),  # quiet
    "rising_s": (int, 0, 86400, None),  # rising; none: a quarter of sample_s
    "storm_s": (int, 0, 86400, None),  # storm, or a level in doubt; none: a fifteenth of sample_s
    "calm_s": (int, 0, 86400, None),  # it must be calmer for so long; none: 1800
    "rising_report_s": (int, 60, 86400, None),  # a report at least so often; none: 3600
    "storm_report_s": (int, 60, 86400, None),  # none: 900
    # What hangs on the board's pins beside the level: of FITTED below; none: nothing.
    "fitted": (list, 8, None),
    # The level sensor.
    "level_by": (str, 10, None),  # "ultrasonic" on UART 2, or none: "analog"
    "full_scale": (int, 1, 10000000, 10000),  # of the analogue one, mm
    "low_uv": (int, 0, 3300000, 600000),  # its output at 0, e.g. 4 mA over 150 ohm
    "high_uv": (int, 1, 3300000, 3000000),  # and at full scale
    "mount_mm": (int, 0, 20000, None),  # how high above the bottom the ultrasonic one hangs
    "warm_ms": (int, 0, 20000, None),  # from switching the sensors on to a reading; none: 500
    # Events by the level.
    "level_high_mm": (int, 0, 10000000, 0),
    "level_back_mm": (int, 0, 10000, None),  # so far below it that ends; none: 50
    "rise_mm_h": (int, 0, 100000, 500),
    "rise_window_s": (int, 60, 86400, None),  # a rise counts over at least so long; none: 600
    # What a level is worth.
    "jump_mm_h": (int, 0, 1000000, None),  # nothing changes faster; none: 3000
    "jump_samples": (int, 1, 10, None),  # unless so many in a row agree; none: 3
    "noise_mm": (int, 0, 1000, None),  # what a still surface differs by; none: 20
    "stuck_s": (int, 0, 2592000, None),  # a level that does not move is stuck; none: 43200
    "still_mm": (int, 0, 1000, None),  # by more than this; none: 3
    # Other sensors: analogue ones have the level's low_uv and high_uv.
    "velocity_full": (int, 1, 100000, None),  # flow at full scale; none: 5000
    "tip_um": (int, 10, 10000, None),  # rain of one tip; none: 200
    "rain_mm_h": (int, 0, 1000, None),  # heavy rain; none: 20
    "cover_deg": (int, 0, 180, None),  # the cover leans so far; none: 15
    "cover_zero": (int, 0, 65535, None),  # raised by one: as it lies now it lies well; none: 0
    # A cover that is moved and a float that is wet for so long are events, over when they were not
    # for the time behind it. None: 0 and 60.
    "cover_s": (int, 0, 3600, None),
    "cover_back_s": (int, 0, 86400, None),
    "water_s": (int, 0, 3600, None),
    "water_back_s": (int, 0, 86400, None),
    "move_mg": (int, 16, 2000, None),  # a jolt that wakes the node; none: 250
    "gas_s": (int, 0, 86400, None),  # how often gases are measured; none: 3600
    "gas_warm_s": (int, 0, 120, None),  # what their sensors need first; none: 30
    "h2s_full_ppm": (int, 1, 10000, None),  # none: 100
    "h2s_ppm": (int, 0, 10000, None),  # none: 10
    "ch4_full_lel": (int, 1, 100, None),  # none: 100 % of the lower explosive limit
    "ch4_lel": (int, 0, 100, None),  # none: 25
    "supply_full_mv": (int, 1, 100000, None),  # the supply at which its pin has 2 V; none: 20000
    "supply_low_mv": (int, 0, 100000, 0),
}

_LOOKS_S = 10  # of the level, at a cover that is being moved, at a line that is not let go


def check(values: dict) -> None:  # type: ignore[type-arg]
    """SchemaError where keys contradict each other."""
    if values["high_uv"] <= values["low_uv"]:
        raise SchemaError("high_uv", INVALID, "high_uv is not above low_uv")
    pins = values["pins"]
    for name in values.get("fitted", ()):
        if not isinstance(name, str) or name not in FITTED:
            raise SchemaError("fitted", INVALID, "fitted: unknown sensor %r" % (name,))
        for pin in FITTED[name]:
            if pins and pin not in pins:  # the fleet, which checks too, does not know the board
                raise SchemaError("fitted", INVALID, "fitted: %s needs a pin %r" % (name, pin))
    busy = _LOOKS_S + (values.get("warm_ms", 500) + 999) // 1000
    fitted = values.get("fitted", ())
    if ("h2s" in fitted or "ch4" in fitted) and values.get("gas_s", 3600):
        busy += values.get("gas_warm_s", 30)
    check_awake(values, busy)
    by = values.get("level_by", "analog")
    if by not in ("", "analog", "ultrasonic"):
        raise SchemaError("level_by", INVALID, "unknown level_by %r" % by)
    if by == "ultrasonic" and "mount_mm" not in values:
        raise SchemaError("mount_mm", INVALID, "mount_mm is missing for level_by ultrasonic")
    if by == "ultrasonic" and pins and not ("echo" in pins and "ping" in pins):
        raise SchemaError("level_by", INVALID, "level_by ultrasonic needs pins echo and ping")
