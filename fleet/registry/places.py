"""Positions as technicians give them: WGS-84 in 1e-7 degrees, with China's commonest mistakes."""

import re

from fleet.registry.operations import RegistryError

SCALE = 10_000_000
_NUMBER = re.compile(r"(-?)([0-9]{1,3})(?:\.([0-9]{1,12}))?")
# The mainland's bounding box in whole degrees, with a margin: for a hint, never for a refusal.
_LATITUDES, _LONGITUDES = (17, 54), (73, 136)


def position(latitude: str, longitude: str) -> tuple[int, int]:
    """Latitude and longitude in 1e-7 degrees, of decimal texts; RegistryError with a hint."""
    lat, lon = _e7(latitude, "latitude"), _e7(longitude, "longitude")
    if abs(lat) > 90 * SCALE:
        why = _swapped(lat, lon, latitude, longitude)
        raise RegistryError(f"latitude {latitude[:20]} is over 90 degrees: {why}")
    if abs(lon) > 180 * SCALE:
        raise RegistryError(f"longitude {longitude[:20]} is over 180 degrees")
    return lat, lon


def hint(lat: int, lon: int) -> str:
    """One line when a position in 1e-7 degrees may be a mistake, else nothing."""
    if _in_china(lat, lon):
        return ""
    if _in_china(lon, lat):
        return f"{written(lat)}, {written(lon)} lies outside China, the reverse inside: swapped?"
    return ""


def written(e7: int) -> str:
    """Degrees with seven decimals: 231291000 is 23.1291000."""
    sign = "-" if e7 < 0 else ""
    return f"{sign}{abs(e7) // SCALE}.{abs(e7) % SCALE:07d}"


def _e7(text: str, what: str) -> int:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise RegistryError(f"{what} {text[:20]!r}: decimal degrees of WGS-84, such as 23.1291000")
    fraction = (found[3] or "").ljust(8, "0")
    e7 = int(found[2]) * SCALE + int(fraction[:7]) + (fraction[7] >= "5")
    return -e7 if found[1] else e7


def _swapped(lat: int, lon: int, latitude: str, longitude: str) -> str:
    if abs(lat) <= 180 * SCALE and abs(lon) <= 90 * SCALE:
        return f"swapped? --lat {longitude[:20]} --lon {latitude[:20]}"
    return "decimal degrees of WGS-84"


def _in_china(lat: int, lon: int) -> bool:
    return (
        _LATITUDES[0] * SCALE <= lat <= _LATITUDES[1] * SCALE
        and _LONGITUDES[0] * SCALE <= lon <= _LONGITUDES[1] * SCALE
    )
