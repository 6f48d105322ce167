"""`python -m hil.check RIG...`: load a rig's file and validate it against the drivers, on a
machine without any of the hardware.
"""

import argparse
import json
import os
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fleet.errors import Refusal
from hil.inventory import (
    FEATURES,
    Feature,
    Place,
    Rig,
    RigFileError,
    load,
    resources,
    unknown_features,
)

_VIRTUAL = "VirtualBoard"
_REMOTE = "RemotePlace"


class Problem(NamedTuple):
    """What is wrong with a place, or only odd."""

    place: str
    text: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.place}: {'' if self.fatal else 'warning: '}{self.text}"


def problems(rig: Rig) -> list[Problem]:
    """All that is wrong with a rig's file, place by place."""
    found = list(_shared(rig))
    targets = rig.environment.config.get_targets()
    for place in rig.places:
        if why := unknown_features(place.features):
            found.append(Problem(place.name, why))
        found += [Problem(place.name, text) for text in _hardware(place)]
        parts = resources(targets[place.name], place.name)
        found += [Problem(place.name, text) for text in _wires(place, parts)]
        found += _target(rig, place)
    return found


def _hardware(place: Place) -> Iterator[str]:
    """Board and node types as hw/ has them."""
    from fleet.flashing.hardware import HardwareError, load_board, load_node_type

    try:
        load_board(place.board)
    except HardwareError as e:
        yield str(e)
        return
    for name in place.nodes:
        try:
            node = load_node_type(name)
        except HardwareError as e:
            yield str(e)
            continue
        if node.board != place.board:
            yield f"a {name} is on a {node.board}, and here is a {place.board}"


def _wires(place: Place, parts: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """What a resource says of ports and of the board's pins, as far as labgrid takes anything."""
    from fleet.flashing.hardware import HardwareError, load_board

    for cls, arguments in parts:
        if cls == "NodePort" and not (arguments.get("port") or arguments.get("serial")):
            yield "its NodePort says neither `port` nor `serial`: kapok ports lists both"
        channels = arguments.get("channels")
        if cls != "StimulusBoard" or not isinstance(channels, dict):
            continue
        try:
            pins = load_board(place.board).node_pins
        except HardwareError:  # said already
            continue
        for name in channels:
            if name not in pins:
                yield (
                    f"channel {name}: a {place.board} has no such pin:"
                    f" python -m hil.wiring {place.board} lists them"
                )


def _target(rig: Rig, place: Place) -> list[Problem]:
    """Resources and drivers: known, with arguments that they take, bound to each other."""
    from labgrid.binding import BindingError
    from labgrid.exceptions import InvalidConfigError, NoSupplierFoundError

    config = rig.environment.config.get_targets()[place.name]
    classes = {cls for cls, _ in resources(config, place.name)}
    if _REMOTE in classes:
        text = "its resources come from the coordinator: they cannot be checked here"
        return [Problem(place.name, text, fatal=False)]
    found = []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            target: Any = rig.environment.get_target(place.name)
        except (BindingError, InvalidConfigError, NoSupplierFoundError) as e:
            cause = f": {e.__cause__}" if e.__cause__ else ""
            return [Problem(place.name, " ".join(f"{e.msg}{cause}".split()))]
        except (TypeError, ValueError, AttributeError, KeyError) as e:
            return [Problem(place.name, " ".join(str(e).split()))]
    found += [Problem(place.name, str(each.message)) for each in told if _unknown(each)]
    return found + list(_features(place, target, classes))


def _unknown(warning: warnings.WarningMessage) -> bool:
    return "unsupported attribute" in str(warning.message)


def _features(place: Place, target: Any, classes: set[str]) -> Iterator[Problem]:
    spoken = {cls.__name__ for driver in target.drivers for cls in type(driver).__mro__}
    if "Strategy" not in spoken:
        yield Problem(place.name, "no driver is a strategy: add NodeStrategy")
    for name, feature in FEATURES.items():
        lacks = _lacks(feature, spoken, classes)
        if name in place.features and lacks:
            yield Problem(place.name, f"feature {name}, and {lacks}")
        elif name not in place.features and not lacks and not feature.resource:
            text = f"it can do {name}, and tests that need it will be skipped: add the feature"
            yield Problem(place.name, text, fatal=False)
    if _VIRTUAL in classes and "virtual" not in place.features:
        yield Problem(place.name, f"a {_VIRTUAL}, and no feature virtual")


def _lacks(feature: Feature, spoken: set[str], classes: set[str]) -> str:
    if feature.driver and feature.driver not in spoken:
        return f"no driver that is a {feature.driver}"
    if feature.resource and feature.resource not in classes:
        return f"no {feature.resource}, which alone has it"
    return ""


def _shared(rig: Rig) -> Iterator[Problem]:
    """A port or hub socket that two places name would be switched for both."""
    users: dict[str, list[str]] = defaultdict(list)
    targets = rig.environment.config.get_targets()
    for place in rig.places:
        for cls, arguments in resources(targets[place.name], place.name):
            if cls not in (_VIRTUAL, _REMOTE):
                what = {key: arguments[key] for key in sorted(arguments) if key in _IDENTITY}
                if what:
                    users[_identity(cls, what)].append(place.name)
    for shared, names in users.items():
        if len(names) > 1:
            yield Problem(names[-1], f"{shared} is that of {names[0]} too")


def _identity(cls: str, what: dict[str, Any]) -> str:
    """A device's path is one device, whatever opens it and by whichever of its links."""
    port = what.get("port")
    if isinstance(port, str) and port.startswith("/"):
        return f"port {os.path.realpath(port)}"
    return f"{cls} {json.dumps(what)}"


_IDENTITY = frozenset({"port", "serial", "match", "index", "host", "path"})


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m hil.check", description=__doc__,
        epilog="Example: python -m hil.check hil/rigs/bench-example.yaml",
    )  # fmt: skip
    parser.add_argument("rigs", nargs="+", type=Path, metavar="RIG", help="a rig's file")
    parser.add_argument("--json", action="store_true", help="places and problems as JSON")
    asked = parser.parse_args()
    told, failed = [], False
    for path in asked.rigs:
        try:
            rig = load(path)
            wrong = problems(rig)
        except (RigFileError, Refusal) as e:
            print(f"hil.check: {e}", file=sys.stderr)  # noqa: T201
            failed = True
            continue
        failed |= any(problem.fatal for problem in wrong)
        told.append(_told(rig, wrong))
        if not asked.json:
            _print(rig, wrong)
    if asked.json:
        print(json.dumps(told, indent=1))  # noqa: T201
    return int(failed)


def _told(rig: Rig, wrong: list[Problem]) -> dict[str, Any]:
    places = [
        {
            "place": place.name, "board": place.board, "nodes": list(place.nodes),
            "features": sorted(place.features), "tags": place.tags,
        }
        for place in rig.places
    ]  # fmt: skip
    return {"rig": str(rig.path), "places": places, "problems": [p._asdict() for p in wrong]}


def _print(rig: Rig, wrong: list[Problem]) -> None:
    print(f"{rig.path}: {len(rig.places)} places")  # noqa: T201
    for place in rig.places:
        words = (place.name, place.board, ",".join(place.nodes), " ".join(sorted(place.features)))
        print("  {:<12} {:<16} {:<28} {}".format(*words))  # noqa: T201
    for problem in wrong:
        print(f"  {problem}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
