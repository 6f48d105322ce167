"""Security contexts by kid: from memory, or from the database, many kids by one query.

A context stays in memory once a request proved to be under it. All others, and the kids that
nobody has, share a smaller place, which strangers may fill as they like.
"""

import asyncio
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from fleet.coap.commits import UnavailableError
from fleet.coap.security import Security
from fleet.db.base import Database
from fleet.identity import oscore
from fleet.identity.errors import IdentityError
from fleet.identity.wrapping import Wrapper

PROVEN = 4096
UNPROVEN = 1024
STALE_S = 10.0  # how long a kid is unknown, and how soon one that fails is looked up again
STRUCK = 64  # numbers of a context that are known here to be used, with what came
MOST_WAITING = 1000  # kids on their way from the database
OWN_NUMBERS = 16  # of the fleet's own, taken from the database at a time

log = structlog.get_logger("coap")


@dataclass
class Known:
    """A context in memory. What is struck, and whether it still lives, only the database knows."""

    id: int
    node_id: str
    kid: bytes
    trusted: bool
    security: Security
    echo_key: bytes
    loaded: float
    numbers: list[int] = field(default_factory=list)
    struck: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=STRUCK))


class Contexts:
    """The contexts of one server, used in one event loop."""

    def __init__(
        self,
        database: Database,
        wrapper: Wrapper,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._wrapper = wrapper
        self._clock = clock
        self._proven: OrderedDict[bytes, Known] = OrderedDict()
        self._unproven: OrderedDict[bytes, tuple[float, Known | None]] = OrderedDict()
        self._waiting: dict[bytes, asyncio.Future[Known | None]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._echo_key = secrets.token_bytes(16)

    async def find(self, kid: bytes) -> Known | None:
        """The live context of `kid`, None where there is none.

        UnavailableError when too many are asked for, or when the secret cannot be unwrapped;
        what the database raises when it fails.
        """
        known = self._proven.get(kid)
        if known is not None:
            self._proven.move_to_end(kid)
            return known
        since, unproven = self._unproven.get(kid, (-STALE_S, None))
        if self._clock() - since < STALE_S:
            return unproven
        waiting = self._waiting.get(kid)
        if waiting is None:
            if len(self._waiting) >= MOST_WAITING:
                raise UnavailableError
            waiting = self._waiting[kid] = asyncio.get_running_loop().create_future()
            if self._reader is None:
                self._reader = asyncio.create_task(self._read_all())
        return await asyncio.shield(waiting)

    def prove(self, known: Known) -> None:
        """A request was under it: keep it."""
        if self._proven.get(known.kid) is known:
            return
        self._unproven.pop(known.kid, None)
        self._proven[known.kid] = known
        if len(self._proven) > PROVEN:
            self._proven.popitem(last=False)

    def doubt(self, known: Known) -> None:
        """A request failed: perhaps the kid is another node's by now, or the window is lost.

        The database is asked again if it was not of late: a forger must not have it asked.
        """
        if self._clock() - known.loaded >= STALE_S:
            self.forget(known)

    def forget(self, known: Known) -> None:
        """Ask the database next time."""
        if self._proven.get(known.kid) is known:
            del self._proven[known.kid]
        if self._unproven.get(known.kid, (0.0, None))[1] is known:
            del self._unproven[known.kid]

    async def own_number(self, known: Known) -> int:
        """A sender number of the fleet's not used before; IdentityError if it is retired."""
        if not known.numbers:
            await self.refill(known)
        return known.numbers.pop()

    async def refill(self, known: Known) -> None:
        """Take numbers from the database now: those in memory may be of before a loss."""
        first = await asyncio.to_thread(self._take, known.id)
        known.numbers = list(range(first + OWN_NUMBERS - 1, first - 1, -1))

    def _take(self, context_id: int) -> int:
        with self._database.begin() as session:
            return oscore.take_numbers(session, context_id, OWN_NUMBERS)

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                asked = dict(self._waiting)
                try:
                    found = await asyncio.to_thread(self._read, list(asked))
                except Exception as e:  # of the database: whoever waits is told
                    self._tell(asked, e)
                else:
                    self._keep(asked, found)
        finally:
            self._reader = None

    def _read(self, kids: list[bytes]) -> dict[bytes, Known | UnavailableError]:
        with self._database.read() as session:
            found = oscore.find(session, self._wrapper, kids)
        return {kid: self._derived(context) for kid, context in found.items()}

    def _derived(self, context: oscore.Context) -> Known | UnavailableError:
        try:
            secret = context.secret
        except IdentityError as e:  # a token that is gone: its nodes are no forgers
            log.error("a context cannot be used", node=context.node_id, reason=str(e))
            return UnavailableError()
        return Known(
            context.id, context.node_id, context.kid, context.trusted,
            Security(secret, context.kid), self._echo_key + context.kid, self._clock(),
        )  # fmt: skip

    def _keep(
        self,
        asked: dict[bytes, asyncio.Future[Known | None]],
        found: dict[bytes, Known | UnavailableError],
    ) -> None:
        for kid, waiting in asked.items():
            known = found.get(kid)
            if isinstance(known, UnavailableError):
                self._tell({kid: waiting}, known)
                continue
            self._unproven[kid] = (self._clock(), known)
            self._unproven.move_to_end(kid)
            if len(self._unproven) > UNPROVEN:
                self._unproven.popitem(last=False)
            del self._waiting[kid]
            if not waiting.done():
                waiting.set_result(known)

    def _tell(self, asked: dict[bytes, asyncio.Future[Known | None]], error: Exception) -> None:
        for kid, waiting in asked.items():
            del self._waiting[kid]
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # whoever asked may be gone: nobody must be told of that
