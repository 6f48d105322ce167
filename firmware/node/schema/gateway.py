"""Keys of an RS-485 gateway."""

RULES: "dict[str, tuple]" = {  # type: ignore[type-arg]
    "sample_s": (int, 0, 86400, 900),
}


def check(values: dict) -> None:  # type: ignore[type-arg]
    """Nothing holds between these keys."""
