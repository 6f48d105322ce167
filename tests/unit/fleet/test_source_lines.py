"""A line of a node's traceback is that statement's line in the sources."""

import ast
import binascii
from pathlib import Path

import pytest

from fleet.paths import firmware_dir
from fleet.registry import modules
from fleet.releases.lines import source_line
from fleet.releases.shrink import shrink

FILES = sorted(
    path.relative_to(firmware_dir()).as_posix() for path in firmware_dir().rglob("*.py")
)


@pytest.mark.parametrize("name", FILES)
def test_every_statement_that_raises_is_found_again(name: str) -> None:
    """Each `raise` and `return` of every module, in what is compiled and in the source."""
    path: Path = firmware_dir() / name
    text = path.read_text()
    small = shrink({"m.py": text}).sources["m.py"]
    kinds = (ast.Raise, ast.Return)
    old = [n.lineno for n in ast.walk(ast.parse(text)) if isinstance(n, kinds)]
    new = [n.lineno for n in ast.walk(ast.parse(small)) if isinstance(n, kinds)]
    assert [source_line(text, line) for line in new] == old


def test_a_module_is_known_by_its_name_s_crc() -> None:
    crc = binascii.crc32(b"node.cycle")
    assert modules.name(crc) == "node.cycle"
    assert modules.name(binascii.crc32(b"node.store")) == "node.store"
    assert modules.name(0x1234) == "00001234"
    assert modules.name(0) == ""
    assert modules.line(0x1234, 17) == 17
    lines = (firmware_dir() / "node" / "cycle.py").read_text().splitlines()
    assert 1 <= modules.line(crc, 60) <= len(lines)


def test_a_line_that_is_none_does_no_harm() -> None:
    assert source_line("", 5) == 1
    assert source_line("x = 1\n", 500) == 1
    assert source_line("x = 1\n", 0) == 1
