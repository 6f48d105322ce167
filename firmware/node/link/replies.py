"""The grammar of 3GPP TS 27.007's replies. Pure and total: a line without sense gives None."""


def whole(text: str) -> "int | None":
    """The decimal integer, with sign, of at most nine digits."""
    text = text.strip()
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not 1 <= len(digits) <= 9:
        return None
    for c in digits:
        if not "0" <= c <= "9":
            return None
    return -int(digits) if text[0] == "-" else int(digits)


def fields(line: str) -> "list[str]":
    """What stands behind the colon, cut at commas outside quotes; quotes and blanks taken off."""
    text = line.split(":", 1)[-1]
    parts = [""]
    quoted = False
    for c in text:
        if c == '"':
            quoted = not quoted
        elif c == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts]
