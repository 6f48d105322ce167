"""The places of a rig's file as data: what stands at each and what tests may ask of it.

Nothing is opened, so a machine without any of it can plan, skip and check.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fleet.errors import Refusal

if TYPE_CHECKING:
    from labgrid.environment import Environment


class Feature(NamedTuple):
    """What a place with it has, by names of classes: a driver of labgrid's, a resource."""

    driver: str = ""
    resource: str = ""


# What `needs` may name and a place may promise; docs/hil.md says it in words.
FEATURES = {
    "power": Feature("PowerProtocol"),
    "stimulus": Feature("Stimulus"),
    "modem-twin": Feature("ModemControl"),
    "current-meter": Feature("Current"),
    "valve": Feature("Stimulus", "VirtualBoard"),  # the stimulus board plays none
    "virtual": Feature(resource="VirtualBoard"),
}


def unknown_features(named: Iterable[str]) -> str | None:
    """Why no place can ever have these; None where one can."""
    unknown = sorted(set(named) - FEATURES.keys())
    return f"unknown feature {', '.join(unknown)}: {', '.join(FEATURES)}" if unknown else None


class RigFileError(Refusal, ValueError):
    """The rig's file cannot be used."""


class Place(NamedTuple):
    """One target of the file. `nodes` are the node types that can run there, `features` what
    `needs` may name, `tags` what a job may reserve by.
    """

    name: str
    board: str
    nodes: tuple[str, ...]
    features: frozenset[str]
    tags: dict[str, str]


class Rig(NamedTuple):
    """A rig: `name` is its file's, `environment` labgrid's view of it, with no target made."""

    name: str
    path: Path
    places: tuple[Place, ...]
    environment: "Environment"

    def place(self, name: str) -> Place:
        """The place of that name; RigFileError."""
        for place in self.places:
            if place.name == name:
                return place
        known = ", ".join(place.name for place in self.places)
        raise RigFileError(f"{self.path}: no place {name!r}: it has {known}")

    def only(self, names: list[str]) -> "Rig":
        """The rig as if it had no other places; all of them where none is named."""
        if not names:
            return self
        return self._replace(places=tuple(self.place(name) for name in names))


def load(path: Path) -> Rig:
    """Read a rig's file; RigFileError says what is wrong with it."""
    from labgrid import Environment
    from labgrid.exceptions import InvalidConfigError, NoConfigFoundError

    try:
        environment = Environment(str(path))
    except NoConfigFoundError:
        raise RigFileError(f"{path}: there is no such file: name a rig, as in hil/rigs") from None
    except InvalidConfigError as e:
        raise RigFileError(f"{path}: {' '.join(e.msg.split())}") from None
    except (ImportError, KeyError) as e:
        raise RigFileError(f"{path}: imports: {e}") from None
    targets = environment.config.get_targets()
    if not isinstance(targets, dict) or not targets:
        raise RigFileError(f"{path}: it has no targets: a place is a target")
    shared = frozenset(environment.get_features())
    places = tuple(_place(path, name, target, shared) for name, target in targets.items())
    return Rig(path.stem, path, places, environment)


def _place(path: Path, name: str, target: Any, shared: frozenset[str]) -> Place:
    where = f"{path}: {name}"
    if not isinstance(target, Mapping):
        raise RigFileError(f"{where}: a target has resources and drivers")
    options = _mapping(where, target, "options")
    found: dict[str, Any] = {}
    for _, arguments in resources(target, where):
        found = {key: arguments[key] for key in ("board", "nodes") if key in arguments} | found
    found |= {key: options[key] for key in ("board", "nodes") if key in options}
    nodes = found.get("nodes", [])
    if "board" not in found or not isinstance(nodes, list) or not nodes:
        raise RigFileError(f"{where}: a resource must say `board` and `nodes`, as NodePort does")
    tags = {str(key): str(value) for key, value in _mapping(where, options, "tags").items()}
    features = target.get("features") or []
    if not isinstance(features, list):
        raise RigFileError(f"{where}: features is a list: [power, stimulus]")
    board, wired = str(found["board"]), shared | frozenset(map(str, features))
    able = {f"node_{_key(node)}": "yes" for node in map(str, nodes)}
    able |= {f"feature_{_key(feature)}": "yes" for feature in sorted(wired)}
    return Place(name, board, tuple(map(str, nodes)), wired, {"board": board} | able | tags)


def _key(text: str) -> str:
    """As labgrid's tags are named."""
    return text.replace("-", "_")


def resources(target: Mapping[str, Any], where: str) -> list[tuple[str, dict[str, Any]]]:
    """Class and arguments of each resource, in both forms that labgrid takes."""
    from labgrid.exceptions import InvalidConfigError
    from labgrid.factory import TargetFactory

    try:
        named = TargetFactory.normalize_config({"resources": target.get("resources") or {}})[0]
    except (InvalidConfigError, AttributeError) as e:
        raise RigFileError(f"{where}: resources: {getattr(e, 'msg', e)}") from None
    return [
        (cls, dict(arguments)) for cls, each in named.items() for (arguments,) in each.values()
    ]


def _mapping(where: str, of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = of.get(key) or {}
    if not isinstance(value, Mapping):
        raise RigFileError(f"{where}: {key} is a table of names and values")
    return value
