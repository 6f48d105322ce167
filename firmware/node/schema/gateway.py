"""Keys of an RS-485 gateway."""

from . import ABOVE, INVALID, SchemaError
from .common import check_awake, whole

_BAUDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)

RULES: "dict[str, tuple]" = {  # type: ignore[type-arg]
    "sample_s": (int, 60, 86400, 900),  # each device is polled once in this time
    # [[number, profile, address], ...], or with a baud rate behind where it is not the profile's.
    # A profile is a name of hw/profiles, or "=" and the digits that `kapok hw profile` prints.
    "devices": (list, 24, []),
    "silent_polls": (int, 1, 100, 3),  # so many polls without an answer are an event
    "backoff_most_s": (int, 0, 86400, 3600),  # a silent device is asked at least so often
}


def check(values: dict) -> None:  # type: ignore[type-arg]
    """SchemaError where keys contradict each other."""
    check_devices(values["devices"])
    if values["devices"]:
        check_awake(values, values["awake_s"] // 2)  # cycle.py cuts a poll there


def check_devices(devices: list) -> None:  # type: ignore[type-arg]
    """SchemaError unless each has a number of its own, a profile's name and an address."""
    numbers = []
    for device in devices:
        if not isinstance(device, list) or not 3 <= len(device) <= 4:
            raise SchemaError("devices", INVALID, "devices: [number, profile, address] each")
        number, name, address = device[:3]
        if not whole(number) or not 1 <= number <= 250 or number in numbers:
            raise SchemaError("devices", INVALID, "devices: numbers are 1..250, each once")
        numbers.append(number)
        if not isinstance(name, str) or not isinstance(address, str) or not name:
            raise SchemaError("devices", INVALID, "devices: profile and address are texts")
        if len(name) > 400 or not 1 <= len(address) <= 14:
            raise SchemaError("devices", ABOVE, "devices: a profile or an address is too long")
        for letter in name:
            if letter not in "=abcdefghijklmnopqrstuvwxyz0123456789-":
                raise SchemaError("devices", INVALID, "devices: no profile's name")
        for letter in address:
            if letter not in "0123456789ABCDEF":
                raise SchemaError("devices", INVALID, "devices: an address is of digits")
        if len(address) <= 3:
            if not address.isdigit() or not 1 <= int(address) <= 247:
                raise SchemaError("devices", INVALID, "devices: a Modbus address is 1..247")
        elif len(address) not in (12, 14):
            raise SchemaError("devices", INVALID, "devices: an address has 12 or 14 digits")
        if len(device) == 4 and device[3] not in _BAUDS:
            raise SchemaError("devices", INVALID, "devices: no usual baud rate")
