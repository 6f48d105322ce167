"""Keys of a gas meter."""

RULES: "dict[str, tuple]" = {  # type: ignore[type-arg]
    "litres_per_pulse": (int, 1, 1000, 10),
}


def check(values: dict) -> None:  # type: ignore[type-arg]
    """Nothing holds between these keys."""
