"""GET one document over HTTP or HTTPS, within bounds of time and size."""

import http.client
import json
import ssl
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from fleet.alarms.delivery import STEP_S, DeliveryError, deadline
from fleet.bridge.errors import SourceGone

MOST_BYTES = 50_000_000
WHOLE_S = 120.0


def check(url: str) -> SplitResult | None:
    """The parts of a URL that can be asked; None where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= 2000
    right = parts.scheme in ("http", "https") and parts.hostname and port != 0 and plain
    return parts if right and parts.username is None and not parts.fragment else None


def document(url: str, headers: Mapping[str, str], ca: Path | None) -> Any:
    """What is there as JSON, numbers as int or Decimal; SourceGone. No redirection is followed:
    what opens one door is shown to no other.
    """
    parts = check(url)
    if parts is None:
        raise SourceGone(f"{url[:60]!r} is no URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {"Accept": "application/json", "User-Agent": "kapok", "Connection": "close", **headers}
    connection = _connection(parts, ca)
    try:
        with deadline(lambda: connection.sock, WHOLE_S):
            connection.request("GET", path, headers=sent)
            answer = connection.getresponse()
            body = answer.read(MOST_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError, DeliveryError) as e:
        text = "no answer in time" if isinstance(e, TimeoutError) else str(e) or type(e).__name__
        raise SourceGone(f"{parts.hostname}: {text}"[:200]) from None
    finally:
        connection.close()
    if answer.status != 200:
        raise SourceGone(f"{parts.hostname} answered {answer.status}")
    if len(body) > MOST_BYTES:
        raise SourceGone(f"{parts.hostname} answered over {MOST_BYTES} bytes: ask for less")
    return parsed(body, parts.hostname or "")


def parsed(body: bytes, who: str) -> Any:
    """JSON; SourceGone. A number keeps its digits."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=str)
    except (ValueError, RecursionError):
        raise SourceGone(f"{who} answered no JSON: {body[:40]!r}") from None


def _connection(parts: SplitResult, ca: Path | None) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=STEP_S)
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as e:
        raise SourceGone(f"ca_file {ca}: {e}"[:200]) from None
    return http.client.HTTPSConnection(host, parts.port, timeout=STEP_S, context=context)
