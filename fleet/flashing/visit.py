"""One visit to a node over USB: what it tells, the modem looked at, a report sent end to end."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleet.flashing.repl import CONTACT_S, NodeRepl
from fleet.flashing.verdicts import Verdict, judge
from fleet.identity.files import PUBLIC, write_atomic
from fleet.wire import nodeid


class Visit:
    """What was found, filled as the visit goes on: each step costs more time than the last."""

    def __init__(self, repl: NodeRepl, say: Callable[[str], None]) -> None:
        self._repl = repl
        self._say = say
        self.told: dict[str, Any] = {"when": int(time.time())}

    def facts(self) -> None:
        """Seconds: the node itself, nothing on the air."""
        self._say("facts")
        self.told["facts"] = self._repl.run("facts", call="facts()")
        self.told["facts"]["reset_cause"] = self._repl.reset_cause
        self.told["node"] = nodeid.from_mac(bytes.fromhex(self.told["facts"]["mac"]))

    def radio(self) -> None:
        """Up to minutes: the modem, its SIM, the network, the signal where the node stands."""
        self._say("radio")
        self.told["radio"] = self._repl.run("facts", "radio", call="radio()", timeout_s=CONTACT_S)

    def contact(self) -> None:
        """Up to minutes: one report, and the fleet's receipt for it."""
        self._say("contact")
        self.told["contact"] = self._repl.run(
            "facts", "contact", call="contact()", timeout_s=CONTACT_S
        )

    def sensors(self) -> dict[str, Any]:
        """The inputs as they are now."""
        found: dict[str, Any] = self._repl.run("facts", call="sensors()")
        return found

    @property
    def provisioned(self) -> bool:
        """Whether there is a configuration, without which there is no modem to ask."""
        return "error" not in self.told["facts"].get("config", {"error": ""})

    def verdicts(self) -> list[Verdict]:
        """The worst first."""
        return judge(self.told)

    def save(self, folder: Path) -> Path:
        """The whole report as JSON, named by node and time; it holds no secret."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.told["when"]))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"diag-{self.told['node']}-{stamp}.json"
        kept = {**self.told, "verdicts": [verdict._asdict() for verdict in self.verdicts()]}
        write_atomic(path, json.dumps(kept, indent=1, ensure_ascii=False).encode(), PUBLIC)
        return path
