"""What a role takes where the configuration has no such key is what the schema tells people."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

FIRMWARE = Path(__file__).parents[3] / "firmware" / "node"
RULE = re.compile(r'"(\w+)": \(int, .*None\),.*\bnone: (\d+)')
# Of these the code has no number: they are off, or the modem's own, or another module's text.
ELSEWHERE = {"log_level"}


def told() -> dict[str, int]:
    """{key: what the schema's comment says that none means}."""
    found = {}
    for path in sorted((FIRMWARE / "schema").glob("*.py")):
        for line in path.read_text().splitlines():
            if match := RULE.search(line):
                found[match[1]] = int(match[2])
    return found


def taken() -> Iterator[tuple[str, int, str]]:
    """(key, number, file) of each call f("key", number) and each entry "key": number."""
    for path in sorted(FIRMWARE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            pairs: list[tuple[ast.expr | None, ast.expr]] = []
            if isinstance(node, ast.Call) and len(node.args) == 2:
                pairs = [(node.args[0], node.args[1])]
            elif isinstance(node, ast.Dict):
                pairs = list(zip(node.keys, node.values, strict=True))
            for key, value in pairs:
                match key, value:
                    case ast.Constant(value=str(name)), ast.Constant(value=int(number)):
                        yield name, number, path.name


def test_each_default_is_the_one_that_is_told() -> None:
    wanted = told()
    assert len(wanted) > 30
    found: dict[str, set[int]] = defaultdict(set)
    for key, number, _ in taken():
        if key in wanted:
            found[key].add(number)
    assert {key: found[key] for key in wanted if key not in ELSEWHERE} == {
        key: {number} for key, number in wanted.items() if key not in ELSEWHERE
    }
