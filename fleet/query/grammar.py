"""From the text of a query to a tree; total and bounded.

    role = gas-meter and area = 4401 and (version < 7 or version is unknown)
    and battery >= 3.3V and tag not in (pilot, "old stock") and not group = hospital

`and` binds closer than `or`. A value may be a range with both ends in it: `version = 3..7`,
`signal = -110..`. `all` is every node.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from fleet.query.errors import QueryError

LONGEST = 2000  # characters
DEEPEST = 40  # parentheses and `not`
MOST_VALUES = 500  # in one list

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?P<inside>[^"]*)")|(?P<sign><=|>=|!=|[=<>(),])|(?P<word>[^\s=<>!(),"]+))"""
)
_SIGNS = ("=", "!=", "<", "<=", ">", ">=")
_WORDS = ("and", "or", "not", "in", "is", "all")


@dataclass(frozen=True)
class Value:
    """A value as it is written: `first` alone, or a range, whose open end is empty."""

    first: str
    last: str | None
    at: int


@dataclass(frozen=True)
class Comparison:
    """`sign`: =, <, <=, > or >=, `in` (one of the values), or `known`, which takes none."""

    field: str
    sign: str
    values: tuple[Value, ...]
    at: int
    source: str


@dataclass(frozen=True)
class Every:
    """All nodes."""

    source: str = "all"


@dataclass(frozen=True)
class Not:
    """What `part` is not."""

    part: "Tree"
    source: str


@dataclass(frozen=True)
class Both:
    """All of the parts."""

    parts: "tuple[Tree, ...]"
    source: str


@dataclass(frozen=True)
class Either:
    """One of the parts at least."""

    parts: "tuple[Tree, ...]"
    source: str


Tree = Comparison | Every | Not | Both | Either


@dataclass(frozen=True)
class _Token:
    kind: str  # word, text, sign, end
    text: str
    at: int
    end: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def parse(text: str) -> Tree:
    """The tree of a query; QueryError says in which column what is wrong."""
    if len(text) > LONGEST:
        raise QueryError(LONGEST, f"a query has up to {LONGEST} characters")
    return _Parser(text).whole()


def terms(tree: Tree) -> tuple[Tree, ...]:
    """What must all hold, as written: the parts of an outermost `and`, else the tree itself."""
    return tree.parts if isinstance(tree, Both) else (tree,)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    def whole(self) -> Tree:
        tree = self._either()
        if self._now.kind != "end":
            self._unexpected("`and`, `or`, or the end")
        return tree

    @property
    def _now(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._now
        self._next += 1
        return token

    def _unexpected(self, wanted: str) -> NoReturn:
        found = repr(self._now.text[:40]) if self._now.kind != "end" else "the end"
        raise QueryError(self._now.at, f"{found} where {wanted} should be")

    def _source(self, first: int) -> str:
        return self._text[self._tokens[first].at : self._tokens[self._next - 1].end]

    def _either(self) -> Tree:
        first = self._next
        parts = [self._both()]
        while self._now.is_word("or"):
            self._take()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts), self._source(first))

    def _both(self) -> Tree:
        first = self._next
        parts = [self._one()]
        while self._now.is_word("and"):
            self._take()
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Both(tuple(parts), self._source(first))

    def _one(self) -> Tree:
        first, token = self._next, self._now
        self._depth += 1
        if self._depth > DEEPEST:
            raise QueryError(token.at, f"nested over {DEEPEST} deep")
        try:
            if token.is_word("not"):
                self._take()
                return Not(self._one(), self._source(first))
            if token.kind == "sign" and token.text == "(":
                self._take()
                tree = self._either()
                self._closed()
                return tree
            if token.is_word("all"):
                self._take()
                return Every()
            return self._comparison()
        finally:
            self._depth -= 1

    def _closed(self) -> None:
        if self._now.kind != "sign" or self._now.text != ")":
            self._unexpected("`)`")
        self._take()

    def _comparison(self) -> Tree:
        first, token = self._next, self._now
        if token.kind != "word" or token.is_word(*_WORDS):
            self._unexpected("a name such as role or area")
        field = self._take().text.lower()
        sign = self._now
        if sign.is_word("is"):
            return self._known(field, first)
        negated = sign.is_word("not")
        if negated:
            self._take()
        if self._now.is_word("in"):
            self._take()
            made = self._compared(field, "in", self._list(), first)
            return Not(made, made.source) if negated else made
        if negated:
            self._unexpected("`in`")
        if sign.kind != "sign" or sign.text not in _SIGNS:
            self._unexpected("=, !=, <, <=, >, >=, `in` or `is`")
        self._take()
        value = self._value()
        if sign.text in ("=", "!="):
            made = self._compared(field, "in", (value,), first)
            return Not(made, made.source) if sign.text == "!=" else made
        if value.last is not None:
            raise QueryError(value.at, "a range goes with = and `in` only")
        return self._compared(field, sign.text, (value,), first)

    def _known(self, field: str, first: int) -> Tree:
        self._take()
        word = self._now
        if not word.is_word("known", "unknown"):
            self._unexpected("`known` or `unknown`")
        self._take()
        made = self._compared(field, "known", (), first)
        return made if word.is_word("known") else Not(made, made.source)

    def _compared(
        self, field: str, sign: str, values: tuple[Value, ...], first: int
    ) -> Comparison:
        return Comparison(field, sign, values, self._tokens[first].at, self._source(first))

    def _list(self) -> tuple[Value, ...]:
        if self._now.kind != "sign" or self._now.text != "(":
            self._unexpected("`(`")
        self._take()
        values = [self._value()]
        while self._now.kind == "sign" and self._now.text == ",":
            self._take()
            values.append(self._value())
            if len(values) > MOST_VALUES:
                raise QueryError(values[-1].at, f"over {MOST_VALUES} values: make a group of them")
        self._closed()
        return tuple(values)

    def _value(self) -> Value:
        token = self._now
        if token.kind == "text":
            self._take()
            return Value(token.text, None, token.at)
        if token.kind != "word":
            self._unexpected("a value")
        self._take()
        first, dots, last = token.text.partition("..")
        if dots and not first and not last:
            raise QueryError(token.at, "a range has one end at least")
        return Value(first, last if dots else None, token.at)


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            what = "a quoted value does not end" if text[at] == '"' else f"{text[at]!r}"
            raise QueryError(at, f"{what}: not understood" if text[at] != '"' else what)
        kind = str(found.lastgroup) if found.lastgroup != "inside" else "text"
        kind = "text" if found["text"] is not None else kind
        value = found["inside"] if kind == "text" else found[kind]
        yield _Token(kind, value, found.start("text" if kind == "text" else kind), found.end())
        at = found.end()
    end = len(text)
    yield _Token("end", "", end, end)
