"""The outbox and its sender, with real servers at the other end and virtual time."""

import time
from pathlib import Path

import pytest
from alarm_rig import EVENT, START, AlarmRig

from fleet.alarms import channels
from fleet.alarms.sender import Sender
from fleet.alarms.transport import Transport
from fleet.identity.wrapping import FileKey
from fleet.settings import Mail

KEY = bytes(range(32))
DOOR, LEAK = 43, 1


class DeliveryRig(AlarmRig):
    """`secrets` of webhooks by name; `go` lets the sender work until it has nothing to do."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, server: Mail | None = None,
        ca: Path | None = None,
    ) -> None:  # fmt: skip
        super().__init__(folder, monkeypatch)
        self.now = time.time() - START
        self.wrapper = FileKey(folder / "key", KEY)
        self.sender = Sender(self.database, Transport(self.wrapper, server, ca))
        self.secrets: dict[str, bytes] = {}
        (self.node,) = self.nodes("lamppost")

    def channel(self, name: str, target: str, **more: object) -> None:
        """Add a channel, by the kind of its target."""
        kind = channels.MAIL if "@" in target else channels.WEBHOOK
        new = channels.New(name, kind, target, **more)  # type: ignore[arg-type]
        with self.database.begin() as session:
            self.secrets[name] = bytes.fromhex(channels.add(session, self.wrapper, new, "Li Wei"))

    def event(self, code: int, value: int = 1, node: str = "") -> None:
        """The node says so, now."""
        self.say(node or self.node, (int(self.now), [(EVENT + code, value)]))

    def go(self) -> None:
        """Send what is due now."""
        for future in self.sender.look():
            future.result(30)

    def later(self, seconds: float) -> None:
        """Some time passes, and the sender looks again."""
        self.now += seconds
        self.go()
