"""Keys of a gas meter: its register, its safety monitoring, its valve.

Of each danger: a threshold (0: it is not watched), how long it must hold, and where it ends.
"""

from . import INVALID, SchemaError
from .common import check_awake, whole

RULES: "dict[str, tuple]" = {  # type: ignore[type-arg]
    "litres_per_pulse": (int, 1, 1000, 10),
    # Flow, by the register, in litres an hour. `flow_back_percent` of a threshold ends what is on.
    "leak_l_h": (int, 0, 1000, 5),  # a flow that never falls below
    "leak_s": (int, 3600, 1209600, 86400),
    "long_use_l_h": (int, 0, 100000, 50),  # an appliance that is never turned off
    "long_use_s": (int, 600, 604800, 36000),
    "over_flow_l_h": (int, 0, 1000000, 7200),  # 1.2 times what a G4 meter is made for
    "over_flow_s": (int, 0, 3600, 60),
    "burst_l_h": (int, 0, 1000000, 5000),  # above the mean of the hour before: a hose came off
    "burst_s": (int, 0, 3600, 20),
    "flow_back_percent": (int, 1, 100, 80),
    "no_use_d": (int, 0, 3650, 90),
    # Gas concentration, by an analogue input, in permille of the lower explosive limit.
    "gas_permille": (int, 0, 1000, 100),
    "gas_back_permille": (int, 0, 1000, 50),
    "gas_s": (int, 0, 600, 5),
    "gas_low_uv": (int, 0, 3300000, 400000),  # of the input at 0
    "gas_high_uv": (int, 1, 3300000, 2000000),  # and at the explosive limit
    "battery_low_mv": (int, 0, 20000, 3200),
    "battery_back_mv": (int, 0, 20000, 3300),
    "battery_s": (int, 0, 86400, 3600),
    "battery_full_mv": (int, 1000, 20000, 6000),  # where the divider gives 3000 mV
    "cover_s": (int, 0, 600, 2),  # 0: it is not watched
    "cover_back_s": (int, 0, 3600, 10),
    "tilt_ddeg": (int, 0, 900, 100),  # tenths of a degree from how it hung when it was installed
    "tilt_back_ddeg": (int, 0, 900, 50),
    "tilt_s": (int, 0, 3600, 60),
    "tilt_zero": (int, 0, 1000000, 0),  # count it on where a meter was hung anew
    "quake_mg": (int, 0, 2000, 250),  # off the mean, thousandths of g: 250 Gal closes
    "quake_s": (int, 1, 20, 3),  # shaking that lasts: a knock does not
    "quake_back_s": (int, 0, 86400, 600),
    # Events (wire/quantity.py) for which the valve closes by itself: leak, over-flow, burst, gas,
    # earthquake; long use 3, no use 5, tilt 7, battery 9 and cover 10 may be added.
    "close_on": (list, 10, [1, 2, 4, 6, 8]),
    "valve_drive_s": (int, 1, 60, 15),
    "valve_stall_ma": (int, 0, 2000, 180),  # 0: no stall is seen, only that it takes too long
    "valve_full_ma": (int, 1, 5000, 500),  # where the current's amplifier gives 3000 mV
    "register_digits": (int, 4, 9, 8),  # of the register in litres, which then begins anew at 0
    "utc_offset_s": (int, -43200, 50400, 28800),  # of the local time whose days and months freeze
    # 0: the freeze of the hour at midnight is that of the day, and the only one
    "freeze_days": (int, 0, 1, 1),
    "scan_ms": (int, 5, 100, 20),  # between two looks at the contacts; a level counts seen twice
    # Of two contacts: 1 overlap and tell which way gas flows, 0 set apart
    "reeds_overlap": (int, 0, 1, 1),
    "reverse_l": (int, 0, 1000000, 20),  # that flowed backwards: an event; 0: none
    # Both closed for so long are a magnet; 0: only both closing at once
    "magnet_s": (int, 0, 604800, 0),
}

_PRESS_S = 3  # the button that opens the valve is held for so long


def check(values: dict) -> None:  # type: ignore[type-arg]
    """SchemaError where keys contradict each other."""
    for code in values["close_on"]:
        if not whole(code) or not 1 <= code <= 10:
            raise SchemaError("close_on", INVALID, "close_on takes events 1 to 10")
    if values["gas_high_uv"] <= values["gas_low_uv"]:
        raise SchemaError("gas_high_uv", INVALID, "gas_high_uv is not above gas_low_uv")
    for key, back, above in (
        ("gas_permille", "gas_back_permille", False),
        ("tilt_ddeg", "tilt_back_ddeg", False),
        ("battery_low_mv", "battery_back_mv", True),
    ):
        if values[key] and (values[back] < values[key] if above else values[back] > values[key]):
            raise SchemaError(back, INVALID, "%s is on the wrong side of %s" % (back, key))
    busy = 0
    if "valve_close" in values["pins"]:  # it does not close, does not open, and is closed again
        busy += _PRESS_S + 3 * values["valve_drive_s"]
    if "sda" in values["pins"] and values["quake_mg"]:
        busy += values["quake_s"]
    if busy:
        check_awake(values, busy)
