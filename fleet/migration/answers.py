"""What a terminal answers to a text: cleaned, without its echo, and whether it is as expected."""

import re

LONGEST = 1000  # characters of an answer that are looked at and kept
_UNSEEN = re.compile(r"[^ -~\r\n]")
_ERROR = re.compile(r"\bERROR\b")


def clean(data: bytes) -> str:
    """What a line brought as text: whatever is not printable ASCII is a dot."""
    return _UNSEEN.sub(".", data.decode("latin-1"))[:LONGEST]


def is_good(sent: str, expects: str, answer: str) -> bool:
    """Whether `expects` is found in the answer to `sent`, and no ERROR before it."""
    said = _unechoed(sent, answer)
    found, error = re.search(expects, said), _ERROR.search(said)
    return found is not None and (error is None or found.start() <= error.start())


def is_over(sent: str, expects: str, answer: str) -> bool:
    """Whether nothing more need come: the answer, an ERROR, or more than an answer has."""
    said = _unechoed(sent, answer)
    decided = re.search(expects, said) is not None or _ERROR.search(said) is not None
    return decided or len(answer) >= LONGEST


def one_line(answer: str) -> str:
    """For people and lists."""
    return " ".join(answer.split())


def _unechoed(sent: str, answer: str) -> str:
    """An APN may read OK: what a terminal echoes is no answer, and half of an echo neither."""
    said = answer.lstrip()
    if sent.startswith(said):
        return ""
    return said.removeprefix(sent)
