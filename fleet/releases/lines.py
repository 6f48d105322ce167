"""From a line that a node's traceback names to the line of the source.

A slot is compiled from what shrink.py makes of the sources: other names and other lines, but
statement by statement the same, so that the n-th is the n-th.
"""

import ast
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache

from fleet.releases.shrink import shrink


def source_line(text: str, line: int) -> int:
    """The line of the statement in the source `text` that stands in `line` of what is compiled.

    A line behind the end gives the last statement's; a text without statements gives 1.
    """
    compiled, written = _lines(text)
    at = bisect_right(compiled, line) - 1
    return written[max(at, 0)] if written and len(written) == len(compiled) else 1


@lru_cache(maxsize=64)  # a module that fails here and there in a fleet is asked for many lines
def _lines(text: str) -> tuple[list[int], list[int]]:
    """Of each statement: in what is compiled, and in the source."""
    small = shrink({"m.py": text}).sources["m.py"]
    compiled = [node.lineno for node in _statements(ast.parse(small))]
    return compiled, [node.lineno for node in _statements(ast.parse(text))]


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    # In the order in which they are written.
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
        yield from _statements(node)
