"""Who asks and who approves: names as people write them, and when two of them are one."""

import unicodedata

from fleet.control.errors import ControlError

MAX = 64  # characters
# Nobody takes these for a letter of an alphabet: "Li Wei 李伟" is a good name.
_PLAIN = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"}


def check_person(name: str) -> str:
    """`name` without stray blanks; ControlError for one that cannot be shown, or mixes
    alphabets."""
    text = " ".join(name.split())
    if not 0 < len(text) <= MAX or not text.isprintable():
        raise ControlError(f"a person's name takes 1 to {MAX} printable characters")
    if len(_scripts(text)) > 1:
        raise ControlError("a person's name takes letters of one alphabet: some look alike")
    return text


def _scripts(text: str) -> set[str]:
    """The alphabets of a name whose letters may be taken for another's; LATIN, CYRILLIC, ..."""
    letters = (each for each in unicodedata.normalize("NFKC", text) if each.isalpha())
    return {unicodedata.name(each, "?").split()[0] for each in letters} - _PLAIN


def same(one: str, other: str) -> bool:
    """Whether two names are one person's: case, blanks and forms of characters do not count."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(text.split())
