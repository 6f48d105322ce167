"""Keys of a gas meter."""

RULES: "dict[str, tuple]" = {  # type: ignore[type-arg]
    "litres_per_pulse": (int, 1, 1000, 10),
    "register_digits": (int, 4, 9, 8),  # of the register in litres, which then begins anew at 0
    "utc_offset_s": (int, -43200, 50400, 28800),  # of the local time whose days and months freeze
    "scan_ms": (int, 5, 100, 20),  # between two looks at the contacts; a level counts seen twice
    "reeds_overlap": (
        int,
        0,
        1,
        1,
    ),  # of two: 1 tells which way gas flows, 0 set apart
    "reverse_l": (int, 0, 1000000, 20),  # that flowed backwards: an event; 0: none
    "magnet_s": (
        int,
        0,
        604800,
        0,
    ),  # both closed for so long are a magnet; 0: at once only
}


def check(values: dict) -> None:  # type: ignore[type-arg]
    """Nothing holds between these keys."""
