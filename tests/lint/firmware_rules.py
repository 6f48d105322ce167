"""Rules of the firmware beyond a general linter: `python tests/lint/firmware_rules.py [FOLDER]`.

No floats: the chip's are 32 bits wide and the PC's 64, so a float that decides anything decides
differently on the two. No print: the console belongs to the technician. No bare except, and no
sleep in seconds (which takes a float).
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FLOAT_CALLS = {"float", "complex", "round"}
FLOAT_MODULES = {"math", "cmath"}


def findings(source: str, name: str) -> Iterator[str]:
    """One line `name:line: what` per breach."""
    for node in ast.walk(ast.parse(source, name)):
        what = breach(node)
        if what:
            yield f"{name}:{getattr(node, 'lineno', 0)}: {what}"


def breach(node: ast.AST) -> str:
    """What `node` breaks, or an empty text."""
    match node:
        case ast.Constant(value=float()):
            return "float literal: use integers of a smaller unit"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "true division makes a float: use //"
        case ast.Call(func=ast.Name(id=called)) if called in FLOAT_CALLS:
            return f"{called}() makes floats"
        case ast.Call(func=ast.Name(id="print")):
            return "print: the console belongs to the technician"
        case ast.Call(func=ast.Attribute(attr="sleep", value=ast.Name(id="asyncio" | "time"))):
            return "sleep takes float seconds: use sleep_ms"
        case ast.ExceptHandler(type=None):
            return "bare except hides what happened"
        case ast.Import(names=names) if {a.name for a in names} & FLOAT_MODULES:
            return "floating-point module"
        case ast.ImportFrom(module=module) if module in FLOAT_MODULES:
            return "floating-point module"
    return ""


def main(folders: list[str]) -> int:
    """Print every breach in `folders`; 1 when there is one."""
    found = 0
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.py")):
            for line in findings(path.read_text(), str(path)):
                print(line)
                found = 1
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["firmware"]))
