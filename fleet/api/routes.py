"""The application. Every list is a page: at most 1,000 rows, continued by `after`."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from fleet.alarms import routes as alarms
from fleet.alarms.errors import AlarmError
from fleet.api import control_routes
from fleet.db.base import Database
from fleet.query import statement
from fleet.registry import found_devices, sub_devices
from fleet.registry import operations as registry
from fleet.rollouts import routes as rollouts
from fleet.telemetry import operations as telemetry
from fleet.updates import routes as updates

Limit = Annotated[int, Query(ge=1, le=registry.PAGE)]


class AreaOut(BaseModel):
    """An area."""

    code: str
    name: str


class NodeOut(BaseModel):
    """A node; times in us since 1970 UTC; `status` as its newest report told."""

    id: str
    role: str
    state: str
    area: str
    asset_id: int | None
    last_report_us: int | None
    status: dict[str, int]


class SubDeviceOut(BaseModel):
    """A sub-device of a gateway; times in us since 1970 UTC."""

    number: int
    asset_id: int
    kind: str
    name: str
    address: str
    from_us: int
    to_us: int | None
    register_offset: int


class FoundDeviceOut(BaseModel):
    """A device that a search of a gateway's line found; time in us since 1970 UTC."""

    protocol: str
    address: str
    meter_type: int
    baud: int
    seen_us: int


class ReadingOut(BaseModel):
    """A reading; `value` is an integer in 10**-decimals of the quantity's unit."""

    id: int
    asset_id: int
    node: str
    quantity: str
    time_us: int
    value: int
    text: str
    quality: str
    trust: str
    received_us: int
    clock_off: bool


class Page(BaseModel):
    """Some readings; `after` continues behind them, None at the end."""

    readings: list[ReadingOut]
    after: str | None


def reading_out(row: Any) -> ReadingOut:
    """A row of `readings` as the API and the CLI show it."""
    return ReadingOut(
        id=row.id,
        asset_id=row.asset_id,
        node=row.terminal_id,
        quantity=telemetry.quantity_name(row.quantity),
        time_us=row.time_us,
        value=row.value,
        text=telemetry.written(row.quantity, row.value),
        quality=telemetry.QUALITIES[row.quality],
        trust=telemetry.TRUSTS[row.trust],
        received_us=row.received_us,
        clock_off=row.clock_off,
    )


def create(database: Database, health: Callable[[], dict[str, Any]], version: str) -> FastAPI:
    """The application. `health` tells of the fleet's parts; `ok` in it decides the status code."""
    app = FastAPI(title="Kapok", version=version)

    @app.exception_handler(SQLAlchemyError)
    def database_gone(_request: object, _error: SQLAlchemyError) -> JSONResponse:
        return JSONResponse({"detail": "the database does not answer: see the log"}, 503)

    @app.exception_handler(telemetry.TelemetryError)
    def refused(_request: object, error: telemetry.TelemetryError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    app.add_exception_handler(AlarmError, alarms.refused)
    app.add_exception_handler(registry.RegistryError, alarms.refused)
    for kind in rollouts.ERRORS:
        app.add_exception_handler(kind, rollouts.refused)

    @app.get("/healthz")
    def healthz(response: Response) -> dict[str, Any]:
        """200 when the database answers and the ingest is connected to the broker, else 503."""
        state = health()
        try:
            with database.read() as session:
                session.execute(text("SELECT 1 FROM areas LIMIT 1"))  # reads the file
            state["database"] = True
        except SQLAlchemyError:
            state["database"] = state["ok"] = False
        response.status_code = 200 if state["ok"] else 503
        return state

    @app.get("/metrics")
    def metrics() -> Response:
        """Prometheus text format."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/api/areas")
    def areas(after: str = "", limit: Limit = 100) -> list[AreaOut]:
        """Areas by code."""
        with database.read() as session:
            rows = registry.list_areas(session, after, limit)
            return [AreaOut(code=row.code, name=row.name) for row in rows]

    @app.get("/api/nodes")
    def nodes(
        after: str = "", limit: Limit = 100, area: str = "", role: str = "", where: str = ""
    ) -> list[NodeOut]:
        """Nodes by id; `area` takes all whose code begins so; `where` is a query."""
        with database.read() as session:
            among = statement.chosen(where, registry.now_us()) if where else None
            rows = registry.list_nodes(session, after, limit, area, role, among)
            return [NodeOut(**row._asdict()) for row in rows]

    @app.get("/api/nodes/{node_id}")
    def node(node_id: str) -> NodeOut:
        """One node."""
        with database.read() as session:
            try:
                return NodeOut(**registry.show_node(session, node_id)._asdict())
            except registry.RegistryError as e:
                raise HTTPException(404, str(e)) from None

    @app.get("/api/nodes/{node_id}/sub-devices")
    def subs(node_id: str, history: bool = False) -> list[SubDeviceOut]:
        """The sub-devices behind a gateway; with `history` those that were replaced, too."""
        with database.read() as session:
            try:
                found = sub_devices.list_subs(session, node_id, history=history)
            except registry.RegistryError as e:
                raise HTTPException(404, str(e)) from None
        return [SubDeviceOut(**row._asdict()) for row in found]

    @app.get("/api/nodes/{node_id}/found-devices")
    def found(node_id: str) -> list[FoundDeviceOut]:
        """What a gateway's searches of its line found."""
        with database.read() as session:
            try:
                rows = found_devices.list_found(session, node_id)
            except registry.RegistryError as e:
                raise HTTPException(404, str(e)) from None
        return [FoundDeviceOut(**row._asdict()) for row in rows]

    @app.get("/api/readings")
    def readings(
        node: str = "",
        asset: int | None = None,
        quantity: str = "",
        since_us: int | None = None,
        until_us: int | None = None,
        after: str = "",
        limit: Limit = 100,
    ) -> Page:
        """Readings by time."""
        code = telemetry.quantity_code(quantity) if quantity else None
        wanted = telemetry.Filter(asset, node, code, since_us, until_us)
        with database.read() as session:
            rows = telemetry.page(session, wanted, telemetry.read_cursor(after), limit)
            last = telemetry.cursor(rows[-1]) if len(rows) == limit else None
            return Page(readings=[reading_out(row) for row in rows], after=last)

    app.include_router(alarms.router(database))
    app.include_router(control_routes.router(database))
    app.include_router(rollouts.router(database))
    app.include_router(updates.router(database))
    return app
