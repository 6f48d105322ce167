"""The enrolment API, which a technician's machine calls over HTTPS."""

import asyncio
import base64
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import structlog
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import FastAPI, HTTPException, Request, Response
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse

from fleet.db.base import Database
from fleet.enrol import body as bodies
from fleet.enrol import claims, offline
from fleet.enrol.limits import Limits
from fleet.identity import operations, token_text, tokens
from fleet.identity.authority import Authority
from fleet.identity.errors import IdentityError
from fleet.identity.wrapping import Wrapper
from fleet.registry.operations import RegistryError, now_us
from fleet.releases import trusting
from fleet.wire import cbor

# A refused token is answered no sooner: how far it came cannot be told by the clock.
REFUSAL_S = 0.1
BODY_S = 10.0
AT_ONCE = 8  # transactions that run or wait for the database
T = TypeVar("T")
log = structlog.get_logger("enrol")


class Site(NamedTuple):
    """What the API hands out beside identities.

    `doors`: (host, port) by door, `defaults`: configuration by area.
    """

    doors: Mapping[str, tuple[str, int]]
    defaults: Mapping[str, Mapping[str, Any]]


def create(
    database: Database,
    authority: Authority,
    wrapper: Wrapper,
    roles: claims.Roles,
    site: Site,
    limits: Limits | None = None,
) -> FastAPI:
    """The application; it logs who claimed what, and never a token or a key."""
    # No pages of documentation on a port that strangers reach.
    app = FastAPI(title="Kapok enrolment", openapi_url=None, docs_url=None, redoc_url=None)
    gate = _Gate(limits or Limits())
    fleet = token_text.fleet_digest(authority.root_der)

    def secret_of(text: str) -> bytes:
        try:
            token = token_text.decode(text)
        except token_text.TokenTextError:
            raise tokens.TokenRefused from None
        if token.fleet != fleet:
            raise tokens.TokenRefused
        return token.secret

    @app.get("/enrol/ca")
    async def ca(request: Request) -> Response:
        """The root CA, PEM: whoever asks compares its digest with the token's."""
        gate.admit(request)
        return Response(
            authority.root.public_bytes(Encoding.PEM), media_type="application/x-pem-file"
        )

    @app.post("/enrol/look")
    async def look(request: Request) -> JSONResponse:
        """What a board with these things in its NVS is to the fleet; changes nothing."""

        def work(asked: bodies.Look) -> dict[str, Any]:
            holds = claims.Holds(asked.certificate, asked.oscore, asked.hmac)
            with database.read() as session:
                seen = claims.look(
                    session, wrapper, secret_of(asked.token), asked.node, asked.type, holds
                )
            return {**seen._asdict(), "now_us": now_us()}

        return await gate.answer(request, bodies.Look, work)

    @app.post("/enrol/claim")
    async def claim(request: Request) -> JSONResponse:
        """Everything that a board gets; all of it is pending until it is confirmed."""

        def work(asked: bodies.Claim) -> dict[str, Any]:
            with database.begin() as session:
                made = claims.claim(
                    session, authority, wrapper, roles, secret_of(asked.token),
                    node_id=asked.node, node_type=asked.type, csr=asked.csr,
                    spare_csr=asked.spare_csr, area=asked.area, policy=asked.policy,
                )  # fmt: skip
                keys = _keys(session)
            log.info("claimed", node=asked.node, policy=made.policy, area=made.area)
            return {**_handed(authority, site, made), "keys": keys}

        return await gate.answer(request, bodies.Claim, work)

    @app.post("/enrol/confirm")
    async def confirm(request: Request) -> JSONResponse:
        """The board holds what was claimed: from now on it is in use, and the old is revoked."""

        def work(asked: bodies.Confirm) -> dict[str, Any]:
            with database.begin() as session:
                held = claims.confirm(
                    session, roles, secret_of(asked.token), asked.node, asked.serial
                )
            log.info("confirmed", node=asked.node, policy=held.policy)
            return {"node": asked.node, "policy": held.policy, "now_us": now_us()}

        return await gate.answer(request, bodies.Confirm, work)

    @app.post("/enrol/vouchers")
    async def vouchers(request: Request) -> JSONResponse:
        """Vouchers to take along, all or none; each takes one of the token's count."""

        def work(asked: bodies.Vouchers) -> dict[str, Any]:
            with database.begin() as session:
                person, made = offline.issue(
                    session, authority, wrapper, roles, secret_of(asked.token),
                    node_type=asked.type, area=asked.area, days=asked.days, requests=asked.csrs,
                )  # fmt: skip
                keys = _keys(session)
            log.info("vouchers given", person=person, type=asked.type, count=len(made))
            return {
                "person": person,
                "ca": _text(authority.root_der),
                "doors": {name: list(where) for name, where in site.doors.items()},
                "keys": keys,
                "defaults": _defaults(site, made[0].area),
                "vouchers": [
                    {
                        "id": one.claim_id, "certificate": _text(one.certificate),
                        "kid": _text(one.kid), "secret": _text(one.secret), "area": one.area,
                        "not_after_us": one.not_after_us,
                    }
                    for one in made
                ],
            }  # fmt: skip

        return await gate.answer(request, bodies.Vouchers, work)

    @app.post("/enrol/voucher-used")
    async def voucher_used(request: Request) -> JSONResponse:
        """A voucher went into a board: the node is registered as pending."""

        def work(asked: bodies.Used) -> dict[str, Any]:
            with database.begin() as session:
                state = offline.announce(
                    session, secret_of(asked.token), asked.voucher, asked.node
                )
            return {"node": asked.node, "state": state}

        return await gate.answer(request, bodies.Used, work)

    return app


class _Gate:
    """Limits before, refusals of one line after, and a bounded number of transactions between."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turns = asyncio.Semaphore(AT_ONCE)

    def admit(self, request: Request) -> str:
        """The caller's address; 429 where it asked too often."""
        address = request.client.host if request.client else ""
        if not self._limits.admit(address):
            raise HTTPException(429, "too many requests: wait a minute", {"Retry-After": "30"})
        return address

    async def answer(
        self, request: Request, kind: type[T], work: Callable[[T], dict[str, Any]]
    ) -> JSONResponse:
        """`work` in a thread on the parsed body; its refusals as a status and one line."""
        began = time.monotonic()
        address = self.admit(request)
        try:
            async with asyncio.timeout(BODY_S):
                raw = await bodies.read(request)
        except TimeoutError:
            raise HTTPException(408, f"the body took more than {BODY_S:.0f} s") from None
        asked = bodies.parse(kind, raw)
        try:
            async with self._turns:
                return JSONResponse(
                    await asyncio.to_thread(work, asked), headers={"Cache-Control": "no-store"}
                )
        except tokens.TokenRefused as e:
            self._limits.refused(address)
            await asyncio.sleep(began + REFUSAL_S - time.monotonic())
            return _refusal(401, e)
        except claims.PolicyNeeded as e:
            return _refusal(409, e)
        except (IdentityError, RegistryError) as e:
            return _refusal(403, e)
        except IntegrityError:
            return _refusal(409, "somebody else provisions this node at the same moment")
        except SQLAlchemyError as e:
            log.error("the database does not answer", reason=type(e).__name__)
            return _refusal(503, "the database does not answer: see the log")


def _refusal(status: int, why: object) -> JSONResponse:
    return JSONResponse({"detail": str(why)}, status, headers={"Cache-Control": "no-store"})


def _keys(session: Session) -> dict[str, str]:
    """By NVS key, what tells a node whose releases it may install; nothing before there is any."""
    held = trusting.newest(session)
    return {} if held is None else {trusting.NVS_KEY: _text(held)}


def _defaults(site: Site, place: str) -> dict[str, Any]:
    areas = sorted((a for a in site.defaults if place.startswith(a)), key=len)
    configuration: dict[str, Any] = {}
    for area in areas:
        configuration |= site.defaults[area]
    return configuration


def _handed(authority: Authority, site: Site, made: claims.Claimed) -> dict[str, Any]:
    return {
        "serial": operations.serial_text(made.issued.serial),
        "certificate": _text(made.issued.der),
        "ca": _text(authority.root_der),
        "oscore": _text(cbor.encode([made.oscore.kid, made.oscore.secret])),
        "hmac": _text(made.hmac),
        "doors": {name: list(where) for name, where in site.doors.items()},
        "defaults": _defaults(site, made.area),
        "configuration": made.configuration,
        "downlinks": list(made.downlinks),
        "policy": made.policy,
        "area": made.area,
        "role": made.role,
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
