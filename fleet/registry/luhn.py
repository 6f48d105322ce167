"""The check digit of IMEI and ICCID: ISO/IEC 7812-1, annex B."""


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it; ASCII digits only."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        n = int(digit) << (place & 1)
        total += n - 9 if n > 9 else n
    return total % 10 == 0


def luhn_digit(digits: str) -> str:
    """The check digit that follows `digits`."""
    return next(d for d in "0123456789" if luhn(digits + d))
