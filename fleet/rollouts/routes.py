"""Read routes of rollouts. Who may start or stop one is decided at the command line, until
persons can be told apart here.
"""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from fleet.db.base import Database
from fleet.errors import Refusal
from fleet.query.errors import QueryError
from fleet.registry.operations import now_us
from fleet.releases.errors import ReleaseError
from fleet.rollouts import listing, states, wording
from fleet.rollouts import preview as previews
from fleet.rollouts.errors import RolloutError
from fleet.rollouts.plan import Plan

Limit = Annotated[int, Query(ge=1, le=listing.PAGE)]
Lang = Annotated[str, Query(pattern="^(en|zh)$")]
Number = Annotated[int, Query(ge=0, lt=1 << 31)]
Canary = Annotated[int, Query(ge=1, le=100_000)]
State = Annotated[str, Query(pattern=f"^({'|'.join(states.ALL)})?$")]
ERRORS = (RolloutError, QueryError, ReleaseError)


class RolloutOut(BaseModel):
    """A rollout; times in us since 1970 UTC; `counts`: nodes by state."""

    id: int
    name: str
    release: int
    query: str
    state: str
    why: str
    urgent: bool
    valve: bool
    asked_by: str
    asked_us: int
    approved_by: str | None
    approved_us: int | None
    started_us: int | None
    ended_us: int | None
    total: int
    group: int
    counts: dict[str, int]
    text: str


class GroupOut(BaseModel):
    """A stage; `errors`: nodes that failed and did not succeed since."""

    number: int
    name: str
    state: str
    total: int
    errors: int
    counts: dict[str, int]
    opened_us: int | None
    closed_us: int | None


class EventOut(BaseModel):
    """Something in its history; `person` empty: the fleet itself."""

    at_us: int
    person: str
    kind: str
    text: str


class StatusOut(BaseModel):
    """A rollout with its groups; `rate`: offers a minute now; `waiting` and `reasons`: why some
    wait, and why others failed."""

    rollout: RolloutOut
    groups: list[GroupOut]
    rate: int
    waiting: dict[str, int]
    reasons: dict[str, int]
    plan: dict[str, Any]
    events: list[EventOut]


class PartOut(BaseModel):
    """A node's part; `text` says its state and why."""

    id: int
    node: str
    group: int
    place: int
    state: str
    reason: str
    attempts: int
    mark: int
    offered_us: int | None
    moved_us: int | None
    due_us: int | None
    step_us: int | None
    absolute_us: int | None
    text: str


class ExcludedOut(BaseModel):
    """How many nodes are left out for a reason."""

    reason: str
    source: str
    nodes: int
    text: str


class PreviewOut(BaseModel):
    """What a rollout would be."""

    nodes: int
    groups: list[int]
    areas: dict[str, int]
    excluded: list[ExcludedOut]
    needs_approval: bool


class StandingOut(BaseModel):
    """A node that is left out, and why."""

    node: str
    reason: str
    source: str
    text: str


def refused(_request: object, error: Exception) -> JSONResponse:
    """A query, a release or a rollout that cannot be."""
    return JSONResponse({"detail": str(error)}, 422)


def router(database: Database) -> APIRouter:
    """The routes on a database."""
    routes = APIRouter()

    @routes.get("/api/rollouts")
    def rollouts(
        history: bool = False, before: Number = 0, limit: Limit = 100, lang: Lang = "en"
    ) -> list[RolloutOut]:
        """Rollouts, the newest first; only those that are not over unless `history`."""
        with database.read() as session:
            found = listing.list_(session, history=history, before=before, limit=limit)
        return [_rollout(one, lang) for one in found]

    @routes.get("/api/rollouts/preview")
    def preview(
        release: Number, where: str, canary: Canary = Plan.canary, lang: Lang = "en"
    ) -> PreviewOut:
        """How many nodes a rollout would have, and why others are left out."""
        with database.read() as session:
            seen = previews.preview(session, release, where, Plan(canary=canary), now_us())
        excluded = [
            ExcludedOut(**one._asdict(), text=wording.excluded_text(one, lang))
            for one in seen.excluded
        ]
        return PreviewOut(
            nodes=seen.nodes, groups=list(seen.groups), areas=dict(seen.areas), excluded=excluded,
            needs_approval=seen.needs_approval,
        )  # fmt: skip

    @routes.get("/api/rollouts/preview/excluded")
    def excluded_(
        release: Number, where: str, after: str = "", limit: Limit = 100, lang: Lang = "en"
    ) -> list[StandingOut]:
        """The nodes that are left out, by id."""
        with database.read() as session:
            found = previews.standings(session, release, where, now_us(), after, limit)
        return [
            StandingOut(**one._asdict(), text=wording.excluded_text(one, lang)) for one in found
        ]

    @routes.get("/api/rollouts/{name}")
    def status(name: str, lang: Lang = "en") -> StatusOut:
        """One rollout, by id or name."""
        with database.read() as session:
            found = _or_404(listing.status, session, name)
        return StatusOut(
            rollout=_rollout(found.rollout, lang),
            groups=[GroupOut(**one._asdict()) for one in found.groups],
            rate=found.rate, waiting=found.waiting, reasons=found.reasons, plan=found.plan,
            events=[
                EventOut(
                    at_us=one.at_us, person=one.person, kind=one.kind,
                    text=wording.event_text(one, lang),
                )
                for one in found.events
            ],
        )  # fmt: skip

    @routes.get("/api/rollouts/{name}/nodes")
    def parts(
        name: str, state: State = "", after: Number = 0, limit: Limit = 100, lang: Lang = "en"
    ) -> list[PartOut]:
        """What became of it at each node, in its order, those behind place `after`."""
        with database.read() as session:
            found = _or_404(listing.parts, session, name, state=state, after=after, limit=limit)
        return [PartOut(**one._asdict(), text=_part_text(one, lang)) for one in found]

    return routes


def _or_404(read: Any, *arguments: Any, **more: Any) -> Any:
    try:
        return read(*arguments, **more)
    except Refusal as e:
        raise HTTPException(404, str(e)) from None


def _rollout(one: listing.Listed, lang: str) -> RolloutOut:
    text = wording.state_text(one.state, one.why, lang)
    return RolloutOut(**{**one._asdict(), "counts": dict(one.counts)}, text=text)


def _part_text(one: listing.Part, lang: str) -> str:
    said = wording.update_text(one.state, lang)
    return f"{said}: {wording.reason_text(one.reason, lang)}" if one.reason else said
