"""From a line that a node's traceback names to the line of the source.

A slot is compiled from what shrink.py makes of the sources: other names and other lines, but
statement by statement the same, so that the n-th is the n-th.
"""

import ast
from bisect import bisect_right
from collections.abc import Iterator

from fleet.releases.shrink import shrink


def source_line(text: str, line: int) -> int:
    """The line of the statement in the source `text` that stands in `line` of what is compiled.

    A line behind the end gives the last statement's; a text without statements gives 1.
    """
    small = shrink({"m.py": text}).sources["m.py"]
    compiled = [node.lineno for node in _statements(ast.parse(small))]
    written = [node.lineno for node in _statements(ast.parse(text))]
    at = bisect_right(compiled, line) - 1
    return written[max(at, 0)] if written and len(written) == len(compiled) else 1


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    # In the order in which they are written.
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
        yield from _statements(node)
