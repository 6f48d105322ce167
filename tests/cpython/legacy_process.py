"""Listeners on a database as a process of their own, to be killed.

The database's file is the first argument.

With `hasty` they answer before the commit, which then takes its time: what must be seen to lose.
"""

import asyncio
import json
import sys
from typing import Any

from fleet.db.base import Database
from fleet.legacy import commits
from fleet.legacy.config import Config
from fleet.legacy.intake import Source, Stored
from fleet.legacy.listeners import Listeners
from fleet.legacy.sessions import Session


def hasty() -> None:
    """Answer first."""
    commit = Session.commit

    def promised(self: Session, source: Source, item: commits.Item) -> None:
        item.done(Stored(new=1))
        commit(self, source, item._replace(done=lambda _: None))

    Session.commit = promised  # type: ignore[method-assign]
    commits.GATHER_S = 600


def ready(addresses: dict[str, Any]) -> None:
    """Tell the ports."""
    print(json.dumps(addresses), flush=True)


if __name__ == "__main__":
    if "hasty" in sys.argv:
        hasty()
    served = Listeners(
        Database(f"sqlite:///{sys.argv[1]}"), Config(ports={"hj212": 0, "sl651": None})
    )
    asyncio.run(served.run(ready, asyncio.Event()))
