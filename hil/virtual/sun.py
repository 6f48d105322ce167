"""Where the sun stands, by floating point: what a lamp's switching is held against.

By the low-precision formulae of the Astronomical Almanac (page C5), good to 0.01 degree until
2050; another way than the node's own (firmware/node/twilight.py).
"""

from math import asin, atan2, cos, degrees, radians, sin

_J2000_US = 946_728_000_000_000


def elevation(at_us: int, latitude: float, longitude: float) -> float:
    """Degrees of the sun's centre above the horizon, without refraction; `at_us` since 1970."""
    days = (at_us - _J2000_US) / 86_400_000_000
    anomaly = radians(357.528 + 0.9856003 * days)
    longest = 280.460 + 0.9856474 * days + 1.915 * sin(anomaly) + 0.020 * sin(2 * anomaly)
    ecliptic, tilt = radians(longest), radians(23.439 - 0.0000004 * days)
    ascension = atan2(cos(tilt) * sin(ecliptic), cos(ecliptic))
    declination = asin(sin(tilt) * sin(ecliptic))
    sidereal = radians(280.46062 + 360.98564737 * days + longitude)
    hour = sidereal - ascension
    north = radians(latitude)
    return degrees(asin(sin(north) * sin(declination) + cos(north) * cos(declination) * cos(hour)))
