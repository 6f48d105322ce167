"""One POST with a signature that shows who sent it, and when.

`Kapok-Signature: t=<seconds since 1970>,v1=<hex>`, where v1 is HMAC-SHA-256 by the channel's
secret over `<t>.<delivery>.<body>`. `Kapok-Delivery` is the same whenever one message is repeated.
"""

import hashlib
import hmac
import http.client
import ssl
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from fleet.alarms.delivery import STEP_S, WHOLE_S, DeliveryError, deadline
from fleet.alarms.errors import ChannelError

_AGAIN = (408, 425, 429)  # of the refusals these pass with time
_MOST_BYTES = 65536  # of an answer that are read, so that the connection ends in order


def check_url(url: str) -> SplitResult:
    """The parts of a webhook's URL; ChannelError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ChannelError(f"webhook {url[:60]!r} is no URL") from None
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= 500
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain or port == 0:
        raise ChannelError(f"webhook {url[:60]!r}: https://HOST/PATH, or http://")
    if parts.username is not None or parts.fragment:
        raise ChannelError("a webhook's URL has no user and no fragment: its secret signs instead")
    return parts


def signature(secret: bytes, seconds: int, delivery: str, body: bytes) -> str:
    """The value of Kapok-Signature."""
    signed = f"{seconds}.{delivery}.".encode() + body
    return f"t={seconds},v1={hmac.new(secret, signed, hashlib.sha256).hexdigest()}"


def post(
    url: str, secret: bytes, delivery: str, body: bytes, seconds: int, ca: Path | None,
    whole_s: float = WHOLE_S,
) -> None:  # fmt: skip
    """Send it; DeliveryError unless the answer is 2xx. Redirections are not followed: whoever
    answers so has not taken it, and what is signed for one goes to no other.
    """
    parts = check_url(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Content-Type": "application/json", "User-Agent": "kapok", "Kapok-Delivery": delivery,
        "Kapok-Signature": signature(secret, seconds, delivery, body), "Connection": "close",
    }  # fmt: skip
    connection = _connection(parts, ca)
    try:
        with deadline(lambda: connection.sock, whole_s):
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException, ValueError) as e:
        raise DeliveryError(f"{parts.hostname}: {_reason(e)}") from None
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        lasting = 300 <= answer.status < 500 and answer.status not in _AGAIN
        raise DeliveryError(f"{parts.hostname} answered {answer.status}", lasting)


def _connection(parts: SplitResult, ca: Path | None) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=STEP_S)
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as e:
        raise DeliveryError(f"webhook.ca_file {ca}: {_reason(e)}") from None
    return http.client.HTTPSConnection(host, parts.port, timeout=STEP_S, context=context)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
