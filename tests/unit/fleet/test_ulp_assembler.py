"""The ULP's assembler: encodings, refusals, and that the firmware has what its source says."""

import hashlib
import struct

import pytest

from fleet.paths import firmware_dir
from fleet.releases import ulp

SOURCE, MADE = ulp.paths(firmware_dir())
# Of the same source, put into its own syntax, by micropython-esp32-ulp 1.2.0.
OTHER = "ce6b5532dbb9a9c8e67760ed613c2540a95a35dbc6fa9b7f42de96e55aafec8e"


def words(source: str, chip: str) -> list[str]:
    raw = ulp.assemble(source, chip)[12:]
    return [f"{word:08x}" for (word,) in struct.iter_unpack("<I", raw)]


def test_the_firmware_has_the_program_of_its_source() -> None:
    assert MADE.read_text() == ulp.module(SOURCE.read_text())


def test_another_assembler_makes_the_same_program_for_the_esp32() -> None:
    raw = ulp.assemble(SOURCE.read_text(), "esp32")
    assert hashlib.sha256(raw).hexdigest() == OTHER


def test_the_chips_differ_where_ulp_h_says_so() -> None:
    source = "there:\n add r1, r2, 3\n st r0, r3, 4\n jump there, eq\n reg_rd LOW_POWER, 19, 19\n"
    assert words(source, "esp32") == ["72000039", "6800100c", "80400000", "29cc0030"]
    assert words(source, "esp32s3") == ["74000039", "6800118c", "84400000", "29cc0034"]


def test_the_binary_has_the_header_of_ulp_load_binary() -> None:
    assert ulp.assemble("halt", "esp32s3") == b"ulp\0\x0c\0\x04\0\0\0\0\0" + b"\0\0\0\xb0"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("fly r0", "line 1: fly: unknown instruction"),
        ("move r4, 1", "'r4' is no register"),
        ("move r0, 65536", "outside 0..65535"),
        ("ld r0, r1, nowhere", "neither a number nor a name"),
        ("jump 0, lt", "unknown condition"),
        ("reg_rd NOWHERE, 1, 1", "NOWHERE"),
        ("halt r1", "line 1: halt"),
        ("!", "neither a label nor an instruction"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(line: str, why: str) -> None:
    with pytest.raises(ulp.UlpError, match="line 1") as caught:
        ulp.assemble(line, "esp32s3")
    assert why in str(caught.value)
