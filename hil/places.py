"""The places of a rig, and which of them this worker holds: a file lock each on this machine."""

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

from labgrid import Environment
from labgrid.binding import BindingError
from labgrid.exceptions import InvalidConfigError, NoConfigFoundError

from fleet.errors import Refusal
from hil.faults import RigFault
from hil.pytest_plugin.held import Logs
from hil.resources import NodePort, VirtualBoard

WAIT_S = 900.0  # for a place that another worker holds
LOOK_S = 0.1


class NoSuchPlace(Refusal, ValueError):
    """No place of the rig can do what a test wants; the text says what is missing."""


class Place:
    """A target that this worker holds; as hil.pytest_plugin.held.Held."""

    def __init__(self, name: str, target: Any, lock: int) -> None:
        self.name = name
        self.target = target
        self.strategy = target.get_strategy()
        self.board = str(_resource(target).board)
        self._lock = lock
        self.fleet: Any = None

    @property
    def broken(self) -> BaseException | None:
        """Why its strategy can go nowhere any more."""
        found: BaseException | None = self.strategy.broken
        return found

    def mark(self) -> Hashable:
        """Where its logs are now."""
        fleet = 0 if self.fleet is None else self.fleet.log_mark()
        return (self.strategy.console.mark(), fleet)

    def logs(self, mark: Hashable) -> Logs:
        """What was logged since."""
        console, fleet = mark  # type: ignore[misc]
        text = self.strategy.console.since(console)
        told = [] if self.fleet is None else self.fleet.log(fleet)
        return Logs(console=text, mqtt="\n".join(map(str, told)))

    def recover(self) -> None:
        """After a rig fault: begin anew, from nothing."""
        self.strategy.blank()
        with contextlib.suppress(RigFault, OSError):
            self.strategy.console.close()
        for driver in self.target.drivers:
            if driver is not self.strategy:
                with contextlib.suppress(RigFault, OSError):
                    self.target.deactivate(driver)
        self.strategy.broken = None
        self.strategy.force("unknown")

    def release(self) -> None:
        """Let go of it."""
        self.recover()
        os.close(self._lock)


class Places:
    """The rig of `path`; `only` names places, of all."""

    def __init__(self, path: Path, only: Iterable[str] = ()) -> None:
        try:
            self._env = Environment(str(path))
        except (InvalidConfigError, NoConfigFoundError, BindingError) as e:
            raise NoSuchPlace(f"{path}: {e}") from None
        self._targets: dict[str, Any] = {
            name: target
            for name, target in self._env.config.get_targets().items()
            if not set(only) or name in set(only)
        }
        self._held: dict[str, Place] = {}
        self._locks = Path(tempfile.gettempdir()) / f"kapok-rig-{os.getuid()}-{path.stem}"
        self._locks.mkdir(mode=0o700, exist_ok=True)

    @property
    def held(self) -> list[Place]:
        """What this worker holds."""
        return list(self._held.values())

    def features(self, name: str) -> frozenset[str]:
        """What the rig's file says that the place has."""
        return frozenset(self._targets[name].get("features", ()))

    def fitting(self, node_type: str, needs: Iterable[str] = ()) -> list[str]:
        """Names of places that can carry the node type and have all that."""
        wanted = set(needs)
        return [
            name
            for name, config in self._targets.items()
            if node_type in _nodes(config) and wanted <= self.features(name)
        ]

    def take(self, node_type: str, needs: Iterable[str] = ()) -> Place:
        """A place for the node type: one that is held, or one that is free; waits for one.

        Those that others wait for, and this test does not need, are let go of.
        """
        names = self.fitting(node_type, needs)
        if not names:
            raise NoSuchPlace(f"no place can be a {node_type} with {sorted(needs)}")
        self._give(names)
        for name in names:
            if name in self._held:
                return self._held[name]
        end = time.monotonic() + WAIT_S
        while True:
            for name in names:
                if (lock := self._lock(name)) is not None:
                    self._wanted(name).unlink(missing_ok=True)
                    place = Place(name, self._env.get_target(name), lock)
                    self._held[name] = place
                    return place
            if time.monotonic() > end:
                raise RigFault(f"no place for a {node_type} became free in {WAIT_S:.0f} s")
            for name in names:
                self._wanted(name).touch()
            time.sleep(LOOK_S)

    def close(self) -> None:
        """Let go of all."""
        for place in self.held:
            place.release()
        self._held.clear()
        self._env.cleanup()

    def _give(self, needed: list[str]) -> None:
        for name, place in list(self._held.items()):
            if self._wanted(name).exists() and name not in needed:
                place.release()
                del self._held[name]

    def _wanted(self, name: str) -> Path:
        return self._locks / f"{name}.wanted"

    def _lock(self, name: str) -> int | None:
        file = os.open(self._locks / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        return file


def _nodes(config: dict[str, Any]) -> list[str]:
    resources = config.get("resources", {})
    found = resources.get("VirtualBoard") or resources.get("NodePort") or {}
    return list(found.get("nodes", ()))


def _resource(target: Any) -> Any:
    for resource in target.resources:
        if isinstance(resource, NodePort | VirtualBoard):
            return resource
    raise NoSuchPlace(f"{target.name}: neither a NodePort nor a VirtualBoard")
