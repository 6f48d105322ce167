"""Statistics that a terminal of another maker makes itself: an hour's mean of a quantity, say.

Each is a quantity of its own: 10,000 for each step of `PERIODS`, 1,000 for each of `FIGURES`, and
the code of what is measured, 1 to 299. Our own nodes send none.
"""

from functools import cache

from fleet.wire.quantity import QUANTITIES

PERIODS = ("now", "minute", "hour", "day")
FIGURES = (
    "mean", "min", "max", "total", "converted_mean", "converted_min", "converted_max",
    "converted",
)  # fmt: skip
NOW_CONVERTED = FIGURES.index("converted")
_BASES = range(1, 300)
# Decimals of a total, in the unit that the terminal's protocol gives: kg, or m3 of a flow.
_TOTAL_DECIMALS = 3
_FLOWS = ("sewage_flow", "waste_gas_flow")


def code_of(base: int, period: str, figure: str) -> int:
    """The code of a statistic of the quantity `base`."""
    return 10_000 * PERIODS.index(period) + 1_000 * FIGURES.index(figure) + base


def entry(code: int) -> tuple[str, str, int] | None:
    """(name, unit, decimals) of any quantity, statistics included; None for what is none."""
    if code in QUANTITIES:
        return QUANTITIES[code]
    period, rest = divmod(code, 10_000)
    figure, base = divmod(rest, 1_000)
    if base not in _BASES or base not in QUANTITIES or figure >= len(FIGURES):
        return None
    if not (0 < period < len(PERIODS) or (period == 0 and figure == NOW_CONVERTED)):
        return None
    name, unit, decimals = QUANTITIES[base]
    if FIGURES[figure] == "total":
        unit, decimals = ("m3" if name in _FLOWS else "kg"), _TOTAL_DECIMALS
    words = f"{PERIODS[period]}_{FIGURES[figure]}" if period else FIGURES[figure]
    return f"{name}_{words}", unit, decimals


def period_of(code: int) -> str:
    """Of PERIODS, over what a quantity tells; "now" for all that is no statistic."""
    return PERIODS[code // 10_000] if 0 <= code // 10_000 < len(PERIODS) else PERIODS[0]


def figure_of(code: int) -> str:
    """Of FIGURES, which statistic a quantity is; empty for what is none."""
    if code in QUANTITIES or entry(code) is None:
        return ""
    return FIGURES[code % 10_000 // 1_000]


@cache
def names() -> dict[str, int]:
    """The codes of all statistics by their names."""
    found = {}
    for base in _BASES:
        for period in range(len(PERIODS)):
            for figure in range(len(FIGURES)):
                code = 10_000 * period + 1_000 * figure + base
                told = entry(code) if code not in QUANTITIES else None
                if told is not None:
                    found[told[0]] = code
    return found
