"""The AT command line as a modem reads it, and how it writes its answers (V.250, TS 27.007)."""

from dataclasses import dataclass, field
from enum import Enum


class GrammarError(ValueError):
    """The line is no command: the modem answers ERROR."""


class Op(Enum):
    """The four forms of an extended command."""

    EXECUTE = ""
    READ = "?"
    TEST = "=?"
    SET = "="


@dataclass(frozen=True)
class Style:
    """What stands behind the colon of an answer, around its texts and around IP addresses."""

    gap: str = " "
    quote: str = '"'
    address_quote: str = '"'

    def line(self, name: str, *values: str | int) -> str:
        """`+CEREG: 0,1`, or as this style has it."""
        return f"{name}:{self.gap}{','.join(str(value) for value in values)}"

    def text(self, value: str) -> str:
        """A text as this style writes it."""
        return self.quote + value + self.quote

    def address(self, value: str) -> str:
        """An IP address as this style writes it."""
        return self.address_quote + value + self.address_quote


STANDARD = Style()  # as 3GPP TS 27.007 writes


@dataclass(frozen=True)
class Command:
    """`name` in upper case without `AT` ("+CEREG", "E0", ""), `args` as texts without quotes.

    `quoted` are the places of the arguments that came with quotes.
    """

    name: str
    op: Op = Op.EXECUTE
    args: tuple[str, ...] = ()
    quoted: frozenset[int] = field(default=frozenset(), compare=False)

    def has(self, index: int) -> bool:
        """Whether argument `index` is there and not empty."""
        return index < len(self.args) and bool(self.args[index])

    def text(self, index: int, default: str | None = None) -> str:
        """Argument `index`; GrammarError where it is missing and there is no `default`."""
        if self.has(index):
            return self.args[index]
        if default is None:
            raise GrammarError(f"{self.name}: argument {index} is missing")
        return default

    def bare(self, index: int) -> str:
        """Argument `index` where it has no quotes, else GrammarError: Neul's grammar has none."""
        if index in self.quoted:
            raise GrammarError(f"{self.name}: argument {index} is in quotes")
        return self.text(index)

    def string(self, index: int) -> str:
        """Argument `index` where it has quotes, else GrammarError."""
        if index not in self.quoted:
            raise GrammarError(f"{self.name}: argument {index} has no quotes")
        return self.text(index)

    def number(self, index: int, low: int, high: int, default: int | None = None) -> int:
        """Argument `index` as a decimal integer within `low`..`high`, else GrammarError."""
        text = self.text(index, None if default is None else str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise GrammarError(f"{self.name}: {text!r} is not a number")
        value = int(text)
        if not low <= value <= high:
            raise GrammarError(f"{self.name}: {value} is outside {low}..{high}")
        return value


def is_command(line: str) -> bool:
    """Whether the line addresses the modem at all; V.250 ignores any other."""
    return line[:2].upper() == "AT"


def parse(line: str) -> Command:
    """The command in `line`, which starts with AT; GrammarError where it has none."""
    body = line[2:].strip()
    if not body.startswith(("+", "&", "*", "^")):
        return Command(body.upper())
    end = min((i for i in (body.find("="), body.find("?")) if i >= 0), default=len(body))
    name, rest = body[:end].strip().upper(), body[end:]
    if rest in ("", "?", "=?"):
        return Command(name, Op(rest))
    if rest[0] == "?":
        raise GrammarError(f"{name}: something follows the question mark")
    args, quoted = split(rest[1:])
    return Command(name, Op.SET, args, quoted)


def split(text: str) -> tuple[tuple[str, ...], frozenset[int]]:
    """Arguments between commas, and which were quoted: those may hold commas, and lose quotes."""
    args = [""]
    quoted: set[int] = set()
    inside = False
    for c in text:
        if c == '"':
            inside = not inside
            quoted.add(len(args) - 1)
        elif c == "," and not inside:
            args.append("")
        else:
            args[-1] += c
    if inside:
        raise GrammarError("a quote is not closed")
    return tuple(arg.strip() for arg in args), frozenset(quoted)
