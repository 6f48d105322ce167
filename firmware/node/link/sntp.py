"""The time by SNTP (RFC 4330), one question over a datagram of the modem, where no network told
it. Nobody signs it: it is taken only by a node that has no better one.
"""

import asyncio
import os

from micropython import const

from node.errors import LinkError

_PORT = const(123)
_ANSWER_MS = const(10_000)
_TRIES = const(2)
_ERA = const(2_208_988_800)  # from 1900 to 1970, in s
_TURN = const(0x1_0000_0000)  # era 1 begins in 2036
_SIZE = const(48)


async def ask(modem, server: str) -> "int | None":
    """Seconds since 1970 UTC by `server`, `name` or `name:port`; None where it does not tell."""
    host, _, port = server.partition(":")
    stamp = os.urandom(8)  # the server sends it back: an answer to somebody else has another
    request = b"\x23" + bytes(39) + stamp  # version 4, client
    socket = None
    try:
        socket = await modem.datagram(host, int(port or _PORT), _ANSWER_MS)
        for _ in range(_TRIES):
            await socket.send(request, 0)
            try:
                return told(await asyncio.wait_for_ms(socket.recv(), _ANSWER_MS), stamp)
            except asyncio.TimeoutError:
                pass
    except (LinkError, ValueError):
        pass
    finally:
        if socket is not None:
            await socket.close()
    return None


def told(answer, stamp: bytes) -> "int | None":
    """The time in an answer to the question with this stamp; None for anything else. Total."""
    raw = bytes(answer)
    if len(raw) < _SIZE or raw[24:32] != stamp or raw[0] & 7 != 4:
        return None
    if raw[0] >> 6 == 3 or not 1 <= raw[1] <= 15:  # not synchronised, or a kiss of death
        return None
    seconds = int.from_bytes(raw[40:44], "big")
    if not seconds & 0x80000000:
        seconds += _TURN
    return seconds - _ERA
