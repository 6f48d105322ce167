"""Angles between directions, in integers: floats would decide otherwise on a chip and a PC."""

# atan(2**-i) in thousandths of a degree.
_STEPS = (45000, 26565, 14036, 7125, 3576, 1790, 895, 448, 224, 112, 56, 28, 14, 7, 3, 2)


def between(a: "tuple[int, int, int]", b: "tuple[int, int, int]") -> int:
    """The angle between two vectors in tenths of a degree, 0 to 1800; 0 where one is null."""
    along = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    x = a[1] * b[2] - a[2] * b[1]
    y = a[2] * b[0] - a[0] * b[2]
    z = a[0] * b[1] - a[1] * b[0]
    across = root(x * x + y * y + z * z)
    angle = _turn(abs(along) << 8, across << 8)
    if along < 0:
        angle = 180_000 - angle
    return (angle + 50) // 100


def root(n: int) -> int:
    """The square root of n >= 0, rounded down."""
    guess = n
    better = (n + 1) // 2
    while better < guess:
        guess = better
        better = (guess + n // guess) // 2
    return guess


def _turn(x: int, y: int) -> int:
    # The direction of (x, y), both >= 0, in thousandths of a degree: CORDIC, which turns it by
    # ever smaller known steps until it lies on the x axis.
    angle = 0
    if x or y:
        for i in range(len(_STEPS)):
            if y >= 0:
                x, y = x + (y >> i), y - (x >> i)
                angle += _STEPS[i]
            else:
                x, y = x - (y >> i), y + (x >> i)
                angle -= _STEPS[i]
    return max(angle, 0)
