"""The AT command line as a modem reads it (ITU-T V.250, 3GPP TS 27.007)."""

from dataclasses import dataclass
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
class Command:
    """`name` in upper case without `AT` ("+CEREG", "E0", ""), `args` as texts without quotes."""

    name: str
    op: Op = Op.EXECUTE
    args: tuple[str, ...] = ()

    def text(self, index: int, default: str | None = None) -> str:
        """Argument `index`; GrammarError where it is missing and there is no `default`."""
        if index < len(self.args) and self.args[index]:
            return self.args[index]
        if default is None:
            raise GrammarError(f"{self.name}: argument {index} is missing")
        return default

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
    return Command(name, Op.SET, split(rest[1:]))


def split(text: str) -> tuple[str, ...]:
    """Arguments between commas; a quoted one may hold commas, and loses its quotes."""
    args = [""]
    quoted = False
    for c in text:
        if c == '"':
            quoted = not quoted
        elif c == "," and not quoted:
            args.append("")
        else:
            args[-1] += c
    if quoted:
        raise GrammarError("a quote is not closed")
    return tuple(arg.strip() for arg in args)
