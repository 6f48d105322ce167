"""The replay window of RFC 8613, 7.4, as two integers: whether a number is new."""

WINDOW = 32  # numbers below the highest that are still told apart
LIMIT = 1 << 40  # RFC 8613, 7.2.1: a Partial IV has 5 bytes
_ALL = (1 << WINDOW) - 1

# Nothing was seen: (highest, seen). Bit i of `seen` stands for the number highest - i.
EMPTY = (-1, 0)


def strike(highest: int, seen: int, number: int) -> tuple[int, int] | None:
    """The window once `number` is struck; None when it was struck before, or is too old to tell.

    `highest` is -1 in an empty window. None too for what no Partial IV can hold.
    """
    if not 0 <= number < LIMIT:
        return None
    ahead = number - highest
    if ahead > 0:
        return number, (seen << ahead | 1) & _ALL if ahead < WINDOW else 1
    if -ahead >= WINDOW or seen >> -ahead & 1:
        return None
    return highest, seen | 1 << -ahead


def started(number: int) -> tuple[int, int]:
    """The window of which only this is known: `number` is fresh, and nothing below it is."""
    return number, _ALL
