"""The list of facts: whole, sourced, and the page that people read says the same."""

import ast
import re
from pathlib import Path

import pytest

from hil.fidelity import facts, table
from hil.fidelity.facts import FactError

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "hil-fidelity.md"
LINUX = 34  # up to it newlib's error numbers are Linux's
ROW = {"id": "a.b", "says": "it", "expect": "1", "source": "mp:py/obj.c#L1"}


def test_every_fact_that_a_script_tells_is_listed_and_none_besides() -> None:
    for script in facts.scripts():
        told = set(re.findall(r'^\s*fact\("([^"]+)"', facts.text(script), re.M))
        assert told == {row.id for row in facts.listed(script)}, script


def test_every_fact_has_a_line_or_a_file_as_its_source() -> None:
    rows = [row for script in facts.scripts() for row in facts.listed(script)]
    assert len(rows) > 200
    for row in rows:
        if row.source.startswith("mp:"):
            assert re.fullmatch(r"mp:[\w/.]+#L\d+", row.source), row
        assert row.link.startswith("https://github.com/"), row


def test_the_page_is_the_list() -> None:
    assert table.page(PAGE.read_text()) == PAGE.read_text(), "python -m hil.fidelity --write"


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(table.PageError, match="put it back"):
        table.page("# nothing\n")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"virtual": "2"}, "needs `virtual` and `because`"),
        ({"because": "so"}, "needs `virtual` and `because`"),
        ({"virtual": "1", "because": "so"}, "needs `virtual` and `because`"),
        ({"source": "py/obj.c"}, "the source begins with"),
        ({"expects": "1"}, "unknown"),
    ],
)
def test_a_wrong_row_is_refused(change: dict[str, str], why: str) -> None:
    assert facts.parsed(ROW, "x.toml").expect == "1"
    with pytest.raises(FactError, match=why):
        facts.parsed({**ROW, **change}, "x.toml")


def test_a_fact_that_is_not_listed_is_refused() -> None:
    with pytest.raises(FactError, match="no such fact: rtc"):
        facts.differences("rtc", "esp32s3", {"rtc.new": "1"}, of="chip")


def test_what_is_not_told_is_a_difference() -> None:
    apart = facts.differences("watchdog", "esp32s3", {}, of="chip")
    assert len(apart) == len(facts.listed("watchdog"))
    assert "told nothing" in str(apart[0])


def test_a_chips_own_row_counts_only_there() -> None:
    ids = [row.id for row in facts.listed("pin")]
    assert ids.count("pin.input-only") == 2
    for chip, wanted in (("esp32", "'ValueError'"), ("esp32s3", "None")):
        apart = facts.differences("pin", chip, {}, of="chip")
        assert [d.wanted for d in apart if d.fact.id == "pin.input-only"] == [wanted]


def test_the_firmware_compares_no_error_number_that_linux_has_otherwise() -> None:
    """ENOTCONN is 107 on this machine and 128 on a chip: such errors go by their names."""
    seen = 0
    for path in sorted((ROOT / "firmware").rglob("*.py")):
        tree = ast.parse(path.read_text())
        numbers = {
            target.id: ast.literal_eval(call.args[0])
            for target, call in _constants(tree)
            if isinstance(call.args[0], ast.Constant | ast.UnaryOp)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and _is_number(node.left):
                for other in node.comparators:
                    value = getattr(other, "value", None)
                    if isinstance(other, ast.Name):
                        value = numbers[other.id]
                    if isinstance(value, int):
                        assert value <= LINUX, f"{path.name}:{node.lineno}"
                        seen += 1
    assert seen > 5


def _constants(tree: ast.Module) -> list[tuple[ast.Name, ast.Call]]:
    return [
        (node.targets[0], node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and node.value.args
    ]


def _is_number(node: ast.expr) -> bool:
    return ast.unparse(node).endswith((".errno", ".args[0]"))
