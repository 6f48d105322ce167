"""What of `network` hardly any firmware uses."""

_name = "mpy-esp32"
_country = "XX"


def hostname(name=None):
    global _name  # noqa: PLW0603
    if name is None:
        return _name
    if len(name) > 32:
        raise ValueError
    _name = name
    return None


def country(code=None):
    global _country  # noqa: PLW0603
    if code is None:
        return _country
    if len(code) != 2:
        raise ValueError
    _country = code
    return None
