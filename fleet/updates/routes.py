"""The read route of a node's updates: what `kapok why` tells."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel

from fleet.db.base import Database
from fleet.registry.operations import RegistryError, check_node_id
from fleet.updates import wording
from fleet.updates.story import story

Lang = Annotated[str, Query(pattern="^(en|zh)$")]


class WhyOut(BaseModel):
    """`runs`: what the node says; `story`: what happened, the oldest first; `waits`: for what, and
    until when. Each has `says`, for people. Times are ISO 8601 UTC.
    """

    node: str
    state: str
    last_report: str
    runs: dict[str, Any] | None
    story: list[dict[str, Any]]
    waits: dict[str, Any]


def router(database: Database) -> APIRouter:
    """Below /api."""
    found = APIRouter()

    @found.get("/api/nodes/{node_id}/why")
    def why(node_id: str, lang: Lang = "en") -> WhyOut:
        """Why a node runs what it runs."""
        with database.read() as session:
            try:
                told = story(session, check_node_id(node_id))
            except RegistryError as e:
                raise HTTPException(404, str(e)) from None
            return WhyOut(**wording.said(told, lang))

    return found
