"""A strict subset of CBOR (RFC 8949, core deterministic encoding) that is total and bounded.

Types: int of 64 bits, bytes, str, list, dict with int or str keys, bool, None. No tags, floats,
indefinite lengths, trailing bytes or duplicate keys; shortest integers; map keys in bytewise
order; at most MAX_DEPTH containers inside one another. Any input gives a value or CborError.
"""

MAX_DEPTH = 4


class CborError(ValueError):
    """The bytes, or the value, are outside the strict subset."""


def head(major: int, n: int) -> bytes:
    """Initial byte and shortest argument; `major` is 0..7, `n` is 0..2^64-1."""
    if n < 24:
        return bytes((major << 5 | n,))
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * size:
            return bytes((major << 5 | info,)) + n.to_bytes(size, "big")
    raise CborError("integer over 64 bits")


def encode(value: object, depth: int = 0) -> bytes:
    """Bytes of `value`; CborError for a type or a size outside the subset."""
    out = bytearray()
    _put(out, value, depth)
    return bytes(out)


def _put(out: bytearray, value: object, depth: int) -> None:
    # Into one buffer: a list of the parts of a large map takes many times what the map takes.
    if value is None:
        out += b"\xf6"
    elif value is True:
        out += b"\xf5"
    elif value is False:
        out += b"\xf4"
    elif isinstance(value, int):
        out += head(0, value) if value >= 0 else head(1, -1 - value)
    elif isinstance(value, (bytes, bytearray)):
        out += head(2, len(value))
        out += value
    elif isinstance(value, str):
        raw = value.encode()
        out += head(3, len(raw))
        out += raw
    elif depth == MAX_DEPTH:
        raise CborError("nested over depth 4")
    elif isinstance(value, (list, tuple)):
        out += head(4, len(value))
        for item in value:
            _put(out, item, depth + 1)
    elif isinstance(value, dict):
        keys = []
        for key in value:
            if key is True or key is False or not isinstance(key, (int, str)):
                raise CborError("map key is neither int nor str")
            keys.append(encode(key))
        keys.sort()
        out += head(5, len(keys))
        for raw in keys:
            out += raw
            _put(out, value[_item(raw, 0, 0)[0]], depth + 1)
    else:
        raise CborError("type outside the subset")


def decode(data: bytes) -> object:
    """The one value that `data` holds; CborError for anything else, trailing bytes included."""
    value, end = _item(bytes(data), 0, 0)
    if end != len(data):
        raise CborError("trailing bytes at %d" % end)
    return value


def _argument(data: bytes, at: int) -> "tuple[int, int, int]":
    if at >= len(data):
        raise CborError("truncated at %d" % at)
    major, info = data[at] >> 5, data[at] & 31
    if info < 24:
        return major, info, at + 1
    if info > 27:
        raise CborError("reserved or indefinite length at %d" % at)
    size = 1 << (info - 24)
    end = at + 1 + size
    if end > len(data):
        raise CborError("truncated at %d" % at)
    n = int.from_bytes(data[at + 1 : end], "big")
    if n < (24 if size == 1 else 1 << 4 * size):
        raise CborError("integer not shortest at %d" % at)
    return major, n, end


def _item(data: bytes, at: int, depth: int) -> "tuple[object, int]":
    if at < len(data) and data[at] in (0xF4, 0xF5, 0xF6):
        return (False, True, None)[data[at] - 0xF4], at + 1
    start = at
    major, n, at = _argument(data, at)
    if major < 2:
        if n >> 63:
            raise CborError("integer over 64 bits at %d" % start)
        return (n if major == 0 else -1 - n), at
    # Every element takes a byte at least: a length that the rest cannot hold is a lie.
    if major > 5 or n > len(data) - at:
        raise CborError("type or length refused at %d" % start)
    if major == 2:
        return data[at : at + n], at + n
    if major == 3:
        try:
            return str(data[at : at + n], "utf-8"), at + n
        except (UnicodeError, ValueError):
            raise CborError("text is not UTF-8 at %d" % start)
    if depth == MAX_DEPTH:
        raise CborError("nested over depth 4 at %d" % start)
    if major == 4:
        items = []
        for _ in range(n):
            item, at = _item(data, at, depth + 1)
            items.append(item)
        return items, at
    return _map(data, at, n, depth)


def _map(data: bytes, at: int, n: int, depth: int) -> "tuple[dict[int | str, object], int]":
    result: "dict[int | str, object]" = {}
    last = b""
    for _ in range(n):
        start = at
        key, at = _item(data, at, depth + 1)
        if isinstance(key, bool) or not isinstance(key, (int, str)):
            raise CborError("map key is neither int nor str at %d" % start)
        raw = data[start:at]
        if raw <= last:
            raise CborError("map keys unsorted or repeated at %d" % start)
        last = raw
        result[key], at = _item(data, at, depth + 1)
    return result, at
