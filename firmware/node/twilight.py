"""Civil twilight at a place, in integers: when the sun's centre is 6 degrees below the horizon.

The sun's place is that of NOAA's solar calculator (Meeus, Astronomical Algorithms, chapters 25 and
28, low accuracy); angles are in microdegrees, fractions in units of 2**-30. A day is the sun's at
the place: from midnight to midnight, by its longitude.
"""

from micropython import const

_ONE = const(1 << 30)
_CIRCLE = const(360_000_000)  # microdegrees
_QUARTER = const(90_000_000)
_J2000 = const(946_728_000)  # 2000-01-01 12:00 UTC, in s since 1970
_CENTURY = const(3_155_760_000)  # s
_DAY = const(86_400)
_HALF = const(43_200)
_SINE_6 = const(112_236_583)  # of 6 degrees
_ROUNDS = const(3)  # the sun moves on while the earth turns to it
_FACTORS = (110, 72, 42, 20, 6)  # of the sine's series: each term is x * x / factor of the next


def day_of(now: int, longitude: int) -> int:
    """The sun's day in which `now` (s since 1970) lies, at so many microdegrees east."""
    return (now + longitude * 24 // 100_000) // _DAY


def twilight(day: int, latitude: int, longitude: int) -> "tuple[int, int]":
    """Dawn and dusk of a day (`day_of`), in s since 1970 UTC, at microdegrees north and east.

    Where the sun stays below both are its noon; where it stays above they are the midnights
    before and after, so that dusk and the next day's dawn are one, but for the sun's own drift.
    """
    noon = day * _DAY + _HALF - longitude * 24 // 100_000
    return _crossing(noon, -1, latitude), _crossing(noon, 1, latitude)


def _crossing(noon: int, side: int, latitude: int) -> int:
    # `noon` is the mean sun's: the true one is before or behind it by the equation of time.
    at = noon + side * _HALF // 2
    for _ in range(_ROUNDS):
        sine, equation = _sun(at)
        declination = _arcsine(sine)
        above = -_SINE_6 - (_sin(latitude) * sine >> 30)
        span = _sin(_QUARTER - latitude) * _sin(_QUARTER - declination) >> 30
        if above >= span:
            turn = 0
        elif above <= -span:
            turn = 2 * _QUARTER
        else:
            turn = _QUARTER - _arcsine((above << 30) // span)
        at = noon - equation + side * (turn * 24 // 100_000)
    return at


def _sun(at: int) -> "tuple[int, int]":
    # Sine of the declination, and the equation of time in s: how far the sun is before its mean.
    s = at - _J2000
    length = 280_466_460 + s * 36_000_769_830 // _CENTURY
    anomaly = 357_529_110 + s * 35_999_050_290 // _CENTURY
    node = 125_040_000 - s * 1_934_136_000 // _CENTURY
    sine_m = _sin(anomaly)
    sine_2m = _sin(2 * anomaly)
    centre = sine_m * (1_914_602 - s * 4_817 // _CENTURY) + sine_2m * 19_993
    centre += _sin(3 * anomaly) * 289
    true = length + (centre >> 30) - 5_690 - (_sin(node) * 4_780 >> 30)
    tilt = 23_439_291 - s * 13_004 // _CENTURY + (_sin(node + _QUARTER) * 2_560 >> 30)
    cosine = _sin(tilt + _QUARTER)
    # Meeus 28.3: y = tan(tilt / 2) ** 2, e the eccentricity of the earth's orbit.
    y = (_ONE - cosine << 30) // (_ONE + cosine)
    e = 17_940_760 - s * 45_137 // _CENTURY
    angle = y * _sin(2 * length) - 2 * e * sine_m
    angle += 4 * (e * y >> 30) * (sine_m * _sin(2 * length + _QUARTER) >> 30)
    angle -= (y * y >> 30) * _sin(4 * length) // 2 + 5 * (e * e >> 30) * sine_2m // 4
    return _sin(tilt) * _sin(true) >> 30, (angle >> 30) * 13_751 >> 30


def _sin(angle: int) -> int:
    angle %= _CIRCLE
    if angle > 3 * _QUARTER:
        angle -= _CIRCLE
    elif angle > _QUARTER:
        angle = 2 * _QUARTER - angle
    x = angle * 18_740_330_065 // 1_000_000_000
    square = x * x >> 30
    term = _ONE
    for factor in _FACTORS:
        term = _ONE - (square * term >> 30) // factor
    return x * term >> 30


def _arcsine(sine: int) -> int:
    # Of -1 to 1, by halving; in microdegrees.
    low, high = -_QUARTER, _QUARTER
    while low < high:
        middle = (low + high) // 2
        if _sin(middle) < sine:
            low = middle + 1
        else:
            high = middle
    return low
