"""Routes of alarms: pages, one alarm with its acts, and what people do about it.

A body must be declared as JSON, which no form of a foreign page can do without being asked.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from fleet import texts
from fleet.alarms import acts, listing, operations, packs, silence
from fleet.alarms.errors import AlarmError
from fleet.alarms.wording import text_of
from fleet.db.base import Database

Lang = Annotated[str, Query(pattern="^(en|zh)$")]
Id = Annotated[int, Query(ge=0, lt=1 << 63)]
Limit = Annotated[int, Query(ge=1, le=listing.PAGE)]
Severity = Annotated[str, Query(pattern="^(notice|warning|critical|)$")]


class AlarmOut(BaseModel):
    """An alarm; times in us since 1970 UTC; `state` is open, acknowledged or cleared."""

    id: int
    kind: str
    severity: str
    subject: str
    state: str
    detail: dict[str, str | int]
    times: int
    first_us: int
    last_us: int
    began_us: int | None
    ended_us: int | None
    node: str | None
    asset_id: int | None
    area: str | None
    acknowledged_us: int | None
    acknowledged_by: str | None
    assigned_us: int | None
    assigned_to: str | None
    escalated: int
    cleared_us: int | None
    cleared_by: str | None
    silenced_by: str
    text: str


class ActOut(BaseModel):
    """What somebody did about an alarm."""

    time_us: int
    person: str
    act: str
    text: str


class WholeAlarmOut(AlarmOut):
    """An alarm, its acts, and the open alarms for which it stands."""

    acts: list[ActOut]
    children: list[int]


class MaintenanceOut(BaseModel):
    """Work at a node, an asset or in an area."""

    id: int
    scope: str
    target: str
    from_us: int
    until_us: int
    reason: str
    person: str
    ended_us: int | None
    ended_by: str | None


class By(BaseModel):
    """Who does it."""

    by: str = Field(min_length=1, max_length=64)


class AssignIn(By):
    """Who is to see to an alarm."""

    to: str = Field(min_length=1, max_length=64)


class CommentIn(By):
    """What is to be noted."""

    text: str = Field(min_length=1, max_length=acts.TEXT)


class MaintenanceIn(By):
    """What is put under maintenance: scope node, asset or area."""

    scope: str
    target: str
    until_us: int = Field(lt=1 << 63)
    reason: str


def refused(_request: Request, error: Exception) -> JSONResponse:
    """The answer to what alarms refuse."""
    return JSONResponse({"detail": str(error)}, 422)


def router(database: Database) -> APIRouter:
    """The routes on one database; AlarmError is the application's to answer, by `refused`."""
    made = APIRouter(prefix="/api")

    def out(alarm_id: int, lang: str = "en") -> WholeAlarmOut:
        with database.read() as session:
            found = listing.show(session, alarm_id)
            rule = packs.in_force(session).by_kind.get(found.kind)
            done = [ActOut(**each._asdict()) for each in acts.of(session, alarm_id)]
            children = [each.id for each in listing.children(session, alarm_id)]
        text = text_of(found, lang, rule)
        return WholeAlarmOut(**found._asdict(), text=text, acts=done, children=children)

    @made.get("/alarms")
    def alarms(
        history: bool = False,
        silenced: bool = False,
        subject: str = "",
        node: str = "",
        asset: Annotated[int | None, Query(ge=1, lt=1 << 31)] = None,
        area: str = "",
        severity: Severity = "",
        assigned_to: str = "",
        after: Id = 0,
        limit: Limit = 100,
        lang: Lang = texts.LANGUAGES[0],
    ) -> list[AlarmOut]:
        """Alarms by id; only open ones unless `history`, only told ones unless `silenced`."""
        wanted = listing.Filter(
            history, silenced, subject, node, asset, area, severity, assigned_to
        )
        with database.read() as session:
            rows = listing.list_(session, wanted, after, limit)
            rules = packs.in_force(session).by_kind
        return [
            AlarmOut(**row._asdict(), text=text_of(row, lang, rules.get(row.kind))) for row in rows
        ]

    @made.get("/alarms/{alarm_id}")
    def alarm(alarm_id: int, lang: Lang = texts.LANGUAGES[0]) -> WholeAlarmOut:
        """One alarm, open or not."""
        _within(alarm_id)
        return out(alarm_id, lang)

    @made.post("/alarms/{alarm_id}/acknowledge")
    def acknowledge(alarm_id: int, body: By) -> WholeAlarmOut:
        """Take note of an open alarm."""
        return act(alarm_id, lambda session: operations.acknowledge(session, alarm_id, body.by))

    @made.post("/alarms/{alarm_id}/assign")
    def assign(alarm_id: int, body: AssignIn) -> WholeAlarmOut:
        """Have somebody see to an open alarm."""
        return act(
            alarm_id, lambda session: operations.assign(session, alarm_id, body.to, body.by)
        )

    @made.post("/alarms/{alarm_id}/comment")
    def comment(alarm_id: int, body: CommentIn) -> WholeAlarmOut:
        """Note something about an alarm."""
        return act(
            alarm_id, lambda session: operations.comment(session, alarm_id, body.text, body.by)
        )

    @made.post("/alarms/{alarm_id}/clear")
    def clear(alarm_id: int, body: By) -> WholeAlarmOut:
        """Close an open alarm."""
        return act(alarm_id, lambda session: operations.clear_by_id(session, alarm_id, body.by))

    def act(alarm_id: int, do: Any) -> WholeAlarmOut:
        _within(alarm_id)
        with database.begin() as session:
            do(session)
        return out(alarm_id)

    @made.get("/maintenance")
    def maintenance(history: bool = False) -> list[MaintenanceOut]:
        """Maintenance in force, newest first."""
        with database.read() as session:
            found = silence.list_(session, history=history)
        return [MaintenanceOut(**each._asdict()) for each in found]

    @made.post("/maintenance")
    def start(body: MaintenanceIn) -> dict[str, int]:
        """Put a node, an asset or an area under maintenance."""
        with database.begin() as session:
            number = silence.start(
                session, body.scope, body.target, body.until_us, body.reason, body.by
            )
        return {"id": number}

    @made.post("/maintenance/{number}/end")
    def end(number: int, body: By) -> dict[str, int]:
        """End maintenance before its time."""
        _within(number)
        with database.begin() as session:
            silence.end(session, number, body.by)
        return {"ended": number}

    return made


def _within(number: int) -> None:
    if not 0 <= number < 1 << 63:
        raise AlarmError(f"there is no number {str(number)[:20]}")
