"""Keys of a lamppost."""

from . import INVALID, SchemaError
from .common import whole

RULES: "dict[str, tuple]" = {  # type: ignore[type-arg]
    "sample_s": (int, 0, 86400, 3600),
    "full_scale": (int, 1, 10000000, 10000),  # of the supply's divider, mV
    "low_uv": (int, 0, 3300000, 600000),
    "high_uv": (int, 1, 3300000, 3000000),
    "lamp_plan": (list, 48, []),  # [second of the UTC day, permille, ...], ascending
}


def check(values: dict) -> None:  # type: ignore[type-arg]
    """SchemaError where keys contradict each other."""
    if values["high_uv"] <= values["low_uv"]:
        raise SchemaError("high_uv", INVALID, "high_uv is not above low_uv")
    plan = values["lamp_plan"]
    last = -1
    if len(plan) % 2:
        raise SchemaError("lamp_plan", INVALID, "lamp_plan takes second and permille pairs")
    for second, dim in zip(plan[::2], plan[1::2]):
        if not whole(second) or not last < second < 86400:
            raise SchemaError("lamp_plan", INVALID, "lamp_plan: seconds ascend within a day")
        if not whole(dim) or not 0 <= dim <= 1000:
            raise SchemaError("lamp_plan", INVALID, "lamp_plan: dim is 0..1000 permille")
        last = second
