"""What aiocoap has answered: protected requests, and to strangers as little as there is.

An answer to whoever has proved nothing is never longer than what was asked and a few bytes.
"""

import asyncio
from collections import Counter

import structlog
from aiocoap import Message
from aiocoap.numbers import codes
from aiocoap.numbers.types import Type
from aiocoap.pipe import Pipe
from sqlalchemy.exc import SQLAlchemyError

from fleet.coap.commits import UnavailableError
from fleet.coap.contexts import Contexts
from fleet.coap.limits import Limits
from fleet.coap.protected import Protected, ReplayedError
from fleet.coap.security import Binding, NotAuthenticError, OptionError, read_option
from fleet.identity.errors import IdentityError

LINK_FORMAT = 40  # RFC 6690
WELL_KNOWN = (".well-known", "core")
LINKS = b"</>;osc"  # RFC 8613, 9: only by OSCORE
MAX_AGE_S = 30  # when a node may ask again of a database that failed
URI_HOST, URI_PORT, OSCORE, URI_PATH = 3, 7, 9, 11
_OUTER = {URI_HOST, URI_PORT, OSCORE}  # critical options that may stand outside
SILENCE = codes.EMPTY  # not sent: see exchanges.py

log = structlog.get_logger("coap")


class Site:
    """The site of the server's aiocoap context."""

    def __init__(
        self, contexts: Contexts, protected: Protected, limits: Limits, counts: Counter[str]
    ) -> None:
        self._contexts = contexts
        self._protected = protected
        self._limits = limits
        self._counts = counts
        self._in_work = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Wait until no request is in work."""
        await asyncio.sleep(0)  # the tasks of those that have just come begin
        await self._idle.wait()

    async def render_to_pipe(self, pipe: Pipe) -> None:
        """aiocoap's entry: exactly one answer, which may be SILENCE."""
        self._in_work += 1
        self._idle.clear()
        try:
            pipe.add_response(await self._answered(pipe.request), is_last=True)
        finally:
            self._in_work -= 1
            if not self._in_work:
                self._idle.set()

    async def _answered(self, request: Message) -> Message:
        try:
            return await self._answer(request)
        except (UnavailableError, SQLAlchemyError, OSError) as e:
            self._counts["unavailable"] += 1
            if not isinstance(e, UnavailableError):
                log.error("the database does not answer", reason=repr(e)[:300])
            return Message(code=codes.SERVICE_UNAVAILABLE, max_age=MAX_AGE_S)
        except Exception as e:  # a fault of ours: no words of it leave the house
            self._counts["failed"] += 1
            log.exception("a request failed", reason=repr(e)[:300])
            return Message(code=SILENCE)

    async def _answer(self, request: Message) -> Message:
        critical = {number for number in request.opt._options if number & 1}
        if OSCORE not in critical:
            return self._unprotected(request, critical)
        if request.code != codes.POST:
            return self._short(request, codes.METHOD_NOT_ALLOWED, "foreign method")
        if critical - _OUTER:
            return self._short(request, codes.BAD_OPTION, "foreign option")
        try:
            binding = read_option(request.opt.oscore)
        except OptionError:
            return self._short(request, codes.BAD_OPTION, "bad option")
        return await self._opened(request, binding)

    async def _opened(self, request: Message, binding: Binding) -> Message:
        address = request.remote.sockaddr[0]
        known = await self._contexts.find(binding.kid)
        if known is None:
            self._limits.forged(address)
            return self._short(request, codes.UNAUTHORIZED, "unknown context")
        try:
            plain = known.security.open(binding, request.payload)
        except NotAuthenticError:
            self._limits.forged(address)
            self._contexts.doubt(known)
            return self._short(request, codes.BAD_REQUEST, "not authentic")
        self._contexts.prove(known)
        self._limits.proven(address)
        try:
            sealed = await self._protected.answer(known, binding, plain)
        except ReplayedError:
            self._counts["replay refused"] += 1
            self._limits.replayed(address)
            return Message(code=codes.UNAUTHORIZED, max_age=0, payload=b"Replay detected")
        except IdentityError:  # the context ended meanwhile
            self._contexts.forget(known)
            return self._short(request, codes.UNAUTHORIZED, "unknown context")
        if sealed.is_challenge:
            self._limits.challenged(address)
        return Message(code=codes.CHANGED, oscore=sealed.option, payload=sealed.ciphertext)

    def _unprotected(self, request: Message, critical: set[int]) -> Message:
        """To a stranger: where to read more, or that nothing is for strangers."""
        asked = critical <= {URI_HOST, URI_PORT, URI_PATH} and request.code == codes.GET
        if asked and request.opt.uri_path == WELL_KNOWN:
            self._counts["well-known"] += 1
            return Message(code=codes.CONTENT, content_format=LINK_FORMAT, payload=LINKS)
        return self._short(request, codes.UNAUTHORIZED, "unprotected")

    def _short(self, request: Message, code: codes.Code, kind: str) -> Message:
        """A bare code to a confirmable request; to any other nothing."""
        self._counts[kind] += 1
        return Message(code=code if request.mtype is Type.CON else SILENCE)
