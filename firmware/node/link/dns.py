"""Names to addresses, with a cache that a session may keep over deep sleep.

A question costs two packets and, in deep coverage, seconds; the fleet's address changes rarely.
"""

import asyncio
import time

from micropython import const

from node.errors import AtError, SocketError
from node.link.modem import quotable
from node.link.replies import fields, whole

_MOST = const(3)  # names kept; the session puts them into the 2 KB of RTC memory
_KEPT_S = const(86_400)  # no AT command tells the record's own time to live


async def resolve(modem, host: str, deadline_ms: int) -> str:
    """The IPv4 address of `host` as text.

    SocketError.cause is the modem's result code, 0 for the deadline.
    """
    if is_address(host):
        return host
    host = quotable(host, "host").lower()
    now = int(time.time())
    names = modem.names
    for entry in names:
        # A clock that was set since then makes an entry old, or younger than new.
        if entry[0] == host and 0 <= now - entry[2] < _KEPT_S:
            return entry[1]
    try:
        address = await asyncio.wait_for_ms(modem._resolve(host), deadline_ms)
    except asyncio.TimeoutError:
        raise SocketError("%s: no address in %d ms" % (host, deadline_ms))
    if not is_address(address):
        raise SocketError("%s: %s is no IPv4 address" % (host, address))
    drop(modem, host)
    names.append([host, address, now])
    if len(names) > _MOST:
        del names[0]
    return address


def drop(modem, host: str) -> None:
    """Forget the address of `host`: nobody answered there."""
    modem.names[:] = [entry for entry in modem.names if entry[0] != host.lower()]


def is_address(text: str) -> bool:
    """Whether `text` is an IPv4 address: four numbers 0..255 between dots."""
    parts = text.split(".")
    if len(parts) != 4:
        return False
    for part in parts:
        n = whole(part)
        if n is None or str(n) != part or not 0 <= n <= 255:
            return False
    return True


async def ask(at, command: str, prefixes, deadline_ms: int) -> str:
    """The address that comes behind the command's OK, on one line or two with one of `prefixes`.

    For families that answer late. SocketError.cause is the modem's number. Once the modem has
    said OK it waits as long as it takes: the caller sets the deadline.
    """
    answer = _Answer()
    for prefix in prefixes:
        at.on_urc(prefix, answer.on_line)
    try:
        await at.command(command, deadline_ms)
        await answer.came.wait()
    except AtError as e:
        answer.error = e.cause
    finally:
        answer.open = False
    if not answer.address:
        raise SocketError("DNS: error %d" % answer.error, answer.error)
    return answer.address


class _Answer:
    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.open = True  # whether lines are ours
        self.address = ""
        self.error = 0

    def on_line(self, line: str, payload) -> bool:
        if not self.open:
            return False
        if self.came.is_set():
            return True  # the first address is as good as the others
        # An address; or the number of an error alone; or 0, how many addresses come on lines of
        # their own, and how long they are good.
        values = fields(line)
        numbers = [n for n in [whole(value) for value in values] if n is not None]
        if is_address(values[-1]):
            self.address = values[-1]
            self.came.set()
        elif numbers and (numbers[0] or numbers[1:2] == [0]):
            self.error = numbers[0]
            self.came.set()
        return True
