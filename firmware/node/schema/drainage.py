"""Keys of a drainage point."""

from . import INVALID, SchemaError

RULES: "dict[str, tuple]" = {  # type: ignore[type-arg]
    "sample_s": (int, 0, 86400, 3600),  # 0: only when the sensor wakes the node
    "full_scale": (int, 1, 10000000, 10000),  # of the level sensor, mm
    "low_uv": (int, 0, 3300000, 600000),  # its output at 0, e.g. 4 mA over 150 ohm
    "high_uv": (int, 1, 3300000, 3000000),  # and at full scale
}


def check(values: dict) -> None:  # type: ignore[type-arg]
    """SchemaError where keys contradict each other."""
    if values["high_uv"] <= values["low_uv"]:
        raise SchemaError("high_uv", INVALID, "high_uv is not above low_uv")
