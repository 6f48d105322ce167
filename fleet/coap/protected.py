"""A protected request: opened, its number struck with what it brings, and answered once.

Nothing is sealed under a request's nonce before the commit that strikes its number, and what fails
until then is answered by nothing that a node could take for a receipt.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from aiocoap.numbers import codes

from fleet.clones.window import digest
from fleet.coap import blocks, echo, inner
from fleet.coap.blocks import Assemblies, Block
from fleet.coap.commits import Commits
from fleet.coap.contexts import Contexts, Known
from fleet.coap.inner import RefusedError, Request
from fleet.coap.security import Binding
from fleet.updates.blocks import Blocks
from fleet.updates.streams import NotServedError
from fleet.uplink.ingest import Outcome
from fleet.uplink.message import Claim, Message
from fleet.wire import release

# A code for each word of wire/release.py.
_NOT_SERVED = {
    release.GONE: codes.FORBIDDEN,
    release.UNKNOWN: codes.NOT_FOUND,
    release.LATER: codes.SERVICE_UNAVAILABLE,
}


class ReplayedError(Exception):
    """The request's number was used before, or its context ended."""


class Sealed(NamedTuple):
    """An answer: OSCORE option and ciphertext."""

    option: bytes
    ciphertext: bytes
    is_challenge: bool = False


class _Work(NamedTuple):
    """What is committed for a request, and what its answer is then."""

    payload: bytes | None
    wanted: int | None
    answered: Callable[[Outcome], bytes]
    denied: Callable[[Outcome], bytes | None]


class Protected:
    """Answers requests that proved to be of a node."""

    def __init__(
        self,
        contexts: Contexts,
        commits: Commits,
        counts: Counter[str],
        blocks: Blocks | None = None,
    ) -> None:
        self._contexts = contexts
        self._commits = commits
        self._counts = counts
        self._blocks = blocks
        self._assemblies = Assemblies()

    async def answer(self, known: Known, binding: Binding, plain: bytes) -> Sealed:
        """The one answer of a request with the plaintext `plain`.

        ReplayedError; UnavailableError, or what the database raises, when nothing was stored.
        """
        came = (binding.number, digest(plain))
        if came in known.struck:  # a recording, sent again and again, ends here
            raise ReplayedError
        request = None
        try:
            request = inner.read(plain)
            fetched = request.fetched
            if fetched is not None and fetched[0] == inner.STREAM:
                work = await self._streamed(known, request, fetched[1])
            else:
                work = self._work(known, request)
        except RefusedError as e:
            work = _refused(e.code)
        number = None
        if not known.trusted:
            given = None if request is None else request.echo
            if given is None:
                return await self._challenge(known, binding)
            # Taken before the commit, since behind it nothing but the answer may fail.
            await self._contexts.refill(known)
            number = await self._contexts.own_number(known)
            if not echo.is_fresh(known.echo_key, given, number, int(time.time())):
                return await self._challenge(known, binding)
        outcome = await self._commits.commit(
            Message(
                known.node_id, work.payload, time.time_ns() // 1000,
                Claim(known.id, binding.number, number is not None, came[1]), work.wanted,
            )
        )  # fmt: skip
        self._counts[outcome.kind] += 1
        known.struck.append(came)
        if outcome.kind == "replayed":
            self._contexts.doubt(known)
            raise ReplayedError
        known.trusted = True
        try:
            reply = work.denied(outcome) or work.answered(outcome)
        except RefusedError as e:
            reply = inner.answer(e.code)
        if number is None:
            return Sealed(*known.security.answer(binding, reply))
        # A window that is lost again would let a recorder have this request answered twice.
        return Sealed(*known.security.answer_numbered(binding, reply, number))

    async def _challenge(self, known: Known, binding: Binding) -> Sealed:
        """4.01 with an Echo option, under a number of the fleet's own: nothing was struck."""
        self._counts["challenged"] += 1
        number = await self._contexts.own_number(known)
        value = echo.value(known.echo_key, number, int(time.time()))
        plain = inner.answer(codes.UNAUTHORIZED, echo=value)
        return Sealed(*known.security.answer_numbered(binding, plain, number), is_challenge=True)

    async def _streamed(self, known: Known, request: Request, number: int) -> _Work:
        """A block of an update. It is read before the commit, behind which nothing may fail;
        whether this node may have it is judged there.
        """
        block = request.block2 or Block(0, False, 1024)
        code = codes.SERVICE_UNAVAILABLE
        if self._blocks is not None:
            try:
                found = await asyncio.to_thread(
                    self._blocks.read, known.node_id, number, block.start, block.size
                )
                plain = inner.piece(found.data, found.total, found.etag, block)
                return _Work(None, None, lambda _outcome: plain, lambda _outcome: None)
            except NotServedError as e:
                code = _NOT_SERVED[e.code]
        plain = inner.answer(code)
        return _Work(None, None, lambda _outcome: plain, lambda _outcome: None)

    def _work(self, known: Known, request: Request) -> _Work:
        fetched = request.fetched
        if fetched is not None:
            return _Work(None, fetched[1], lambda outcome: _item(outcome, request), _denied)
        block = request.block1
        if block is None:
            return _Work(request.payload, None, _receipt, _denied)
        try:
            whole = self._assemblies.joined(known.id, block, request.payload)
        except blocks.IncompleteError:
            raise RefusedError(codes.REQUEST_ENTITY_INCOMPLETE) from None
        except blocks.TooLargeError:
            self._assemblies.drop(known.id)
            raise RefusedError(codes.REQUEST_ENTITY_TOO_LARGE) from None
        option = (block.number, block.more, block.size.bit_length() - 5)

        def kept(_outcome: Outcome) -> bytes:
            self._assemblies.keep(known.id, whole)
            return inner.answer(codes.CONTINUE, block1=option)

        def ended(outcome: Outcome) -> bytes:
            self._assemblies.drop(known.id)
            return inner.answer(codes.CHANGED, _told(outcome), block1=option)

        if block.more:
            return _Work(None, None, kept, _denied)
        return _Work(whole, None, ended, _denied)


def _refused(code: codes.Code) -> _Work:
    plain = inner.answer(code)
    return _Work(None, None, lambda _outcome: plain, _denied)


def _denied(outcome: Outcome) -> bytes | None:
    """What is said of a message that was struck, and is none of ours to store."""
    if outcome.kind in {"undecodable", "poison"}:
        return inner.answer(codes.BAD_REQUEST)
    if outcome.kind in {"unknown", "refused"}:
        return inner.answer(codes.FORBIDDEN)
    return None


def _receipt(outcome: Outcome) -> bytes:
    return inner.answer(codes.CHANGED, _told(outcome))


def _told(outcome: Outcome) -> bytes:
    """No payload says that all of the request is committed, and that nothing waits."""
    return outcome.receipt or b""


def _item(outcome: Outcome, request: Request) -> bytes:
    if outcome.item is None:
        raise RefusedError(codes.NOT_FOUND)
    return inner.part(outcome.item, request.block2)
