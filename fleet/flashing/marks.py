"""How far each board came, by its MAC: on disk before and after every region, for --resume."""

import json
import time
from typing import NamedTuple

from fleet.flashing.port_lock import state_folder
from fleet.identity.files import PRIVATE, write_atomic

WRITING, INTERRUPTED, FAILED, DONE = "writing", "interrupted", "failed", "done"


class Mark(NamedTuple):
    """One board's last run: `state` as above, `region` where it was, `plan` what was written.

    WRITING means that the run ended without a word (power cut, kill -9): it is unfinished.
    """

    mac: str
    node_id: str
    port: str
    plan: str
    state: str
    region: str
    at: int = 0  # seconds since 1970 UTC

    @property
    def finished(self) -> bool:
        """Whether the board has the plan."""
        return self.state == DONE


def put(mark: Mark) -> None:
    """Remember it; the file of the board is whole or as before."""
    folder = state_folder() / "boards"
    folder.mkdir(exist_ok=True)
    text = json.dumps(mark._replace(at=int(time.time()))._asdict())
    write_atomic(folder / f"{mark.mac}.json", text.encode(), PRIVATE)


def get(mac: bytes) -> Mark | None:
    """The board's mark; None where it has none, or none that can be read."""
    try:
        raw = (state_folder() / "boards" / f"{mac.hex()}.json").read_bytes()
        return Mark(**json.loads(raw))
    except (OSError, ValueError, TypeError):
        return None
