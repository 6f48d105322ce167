"""The grammar of 3GPP TS 27.007's replies. Pure and total: a line without sense gives None.

Characters are looked at as bytes: each that is taken out of a text stays among the VM's names.
"""


def whole(text: str) -> "int | None":
    """The decimal integer, with sign, of at most nine digits."""
    text = text.strip()
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not 1 <= len(digits) <= 9:
        return None
    for c in digits.encode():
        if not 48 <= c <= 57:
            return None
    return -int(digits) if text.startswith("-") else int(digits)


def fields(line: str) -> "list[str]":
    """What stands behind the colon, cut at commas outside quotes; quotes and blanks taken off."""
    parts: list = []
    quoted = False
    for part in line.split(":", 1)[-1].split(","):
        if quoted:
            parts[-1] += "," + part
        else:
            parts.append(part)
        if part.count('"') & 1:
            quoted = not quoted
    return [part.replace('"', "").strip() for part in parts]
