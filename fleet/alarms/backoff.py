"""How long a channel that fails is left alone."""

import random

FIRST_S, MOST_S = 5.0, 900.0
GIVE_UP_US = 48 * 3600 * 1_000_000  # a message older than this is no news to anybody


def pause_us(failures: int, draw: float | None = None) -> int:
    """Before the next try, after so many failures in a row, in us: 5 s, doubling up to 15 min.

    Up to a quarter less or more by chance (`draw`, 0 to 1), so that channels do not go in step.
    """
    jitter = random.random() if draw is None else draw  # noqa: S311  # not for secrets
    base = min(FIRST_S * 2.0 ** min(max(failures, 1) - 1, 20), MOST_S)
    return int(base * (0.75 + 0.5 * jitter) * 1_000_000)
