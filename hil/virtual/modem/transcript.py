"""A recorded exchange with a modem, read from a file of JSON lines."""

import json
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import Refusal

FILE_MOST = 16 << 20  # bytes
LINES_MOST = 100_000
TEXT_MOST = 1 << 16  # bytes of a request or a reply
DELAY_MOST_S = 86_400


class TranscriptError(Refusal):
    """The file is no transcript; the text is `file:line: reason`."""


@dataclass(frozen=True)
class Step:
    """One line of a transcript.

    `request` is a command line without its end (`is_data` false), data after a prompt (`is_data`
    true), or None where `reply` came unasked. `delay_us` passes before `reply` begins.
    """

    line: int
    request: bytes | None
    reply: bytes
    delay_us: int
    is_data: bool = False


def spelled(raw: bytes) -> bytes:
    """A command line as it is compared: without blanks at its ends, its name in upper case.

    What stands before `AT` is left out: a modem looks for these two letters (ITU-T V.250, 5.2.1).
    Empty where there is no `AT`.
    """
    start = raw.upper().find(b"AT")
    if start < 0:
        return b""
    text = raw[start:].strip()
    end = min((i for i in (text.find(c) for c in (b"=", b"?", b'"')) if i >= 0), default=len(text))
    return text[:end].upper() + text[end:]


def load(path: Path) -> tuple[Step, ...]:
    """The transcript in a file; TranscriptError, or OSError where it cannot be read."""
    with path.open("rb") as file:
        raw = file.read(FILE_MOST + 1)
    if len(raw) > FILE_MOST:
        raise TranscriptError(f"{path}:1: the file is larger than {FILE_MOST >> 20} MiB")
    return parse(raw, str(path))


def parse(raw: bytes, name: str) -> tuple[Step, ...]:
    """The transcript in the bytes of a file called `name`; TranscriptError for any other bytes.

    Each line is a JSON object with `request` (text; null: the reply came unasked), `reply` (text;
    null: none came) and `delay` (seconds before the reply begins, 0 where it is left out); other
    keys are ignored, and so are empty lines. A text stands for bytes by Latin-1. A request that
    starts with `AT` is a command, with or without CR or CR LF behind it; any other is data,
    exactly. A command and its data may stand in one request, with CR between them: then the reply
    is cut behind its first `> `.
    """
    steps: list[Step] = []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if number > LINES_MOST:
            raise TranscriptError(f"{name}:{number}: more than {LINES_MOST} lines")
        if line.strip():
            try:
                steps += _steps(number, line)
            except ValueError as e:
                raise TranscriptError(f"{name}:{number}: {e}") from None
    if not steps:
        raise TranscriptError(f"{name}:1: the file is empty")
    return tuple(steps)


def _steps(number: int, line: bytes) -> list[Step]:
    try:
        entry = json.loads(line.decode())
    except (ValueError, RecursionError):
        raise ValueError("this is not JSON in UTF-8") from None
    if not isinstance(entry, dict):
        raise ValueError("this is not a JSON object")
    for key in ("request", "reply"):
        if key not in entry:
            raise ValueError(f"{key} is missing")
    reply = b"" if entry["reply"] is None else _bytes(entry["reply"], "reply")
    delay_us = _microseconds(entry.get("delay", 0))
    if entry["request"] is None:
        if not reply:
            raise ValueError("neither request nor reply says anything")
        return [Step(number, None, reply, delay_us)]
    request = _bytes(entry["request"], "request")
    if request[:2].upper() != b"AT":
        if not request:
            raise ValueError("request is empty; null stands for what came unasked")
        return [Step(number, request, reply, delay_us, is_data=True)]
    command, _, data = request.partition(b"\r")
    data = data.removeprefix(b"\n")
    if not data:
        return [Step(number, spelled(command), reply, delay_us)]
    cut = reply.find(b"> ") + 2
    if cut < 2:
        raise ValueError("request goes on behind its CR, and reply has no prompt")
    return [
        Step(number, spelled(command), reply[:cut], delay_us),
        Step(number, data, reply[cut:], 0, is_data=True),
    ]


def _bytes(value: object, key: str) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"{key} is not text")
    if len(value) > TEXT_MOST:
        raise ValueError(f"{key} is longer than {TEXT_MOST}")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError as e:
        raise ValueError(f"{key} has a character that is no byte: {value[e.start]!a}") from None


def _microseconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("delay is not a number")
    if not 0 <= value <= DELAY_MOST_S:
        raise ValueError(f"delay is not within 0 to {DELAY_MOST_S} s")
    return round(value * 1_000_000)
