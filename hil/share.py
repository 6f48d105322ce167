"""`python -m hil.share RIG`: make the places of a rig's file known to a labgrid coordinator, with
the tags that jobs reserve by, and write what labgrid-exporter is to export.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from fleet.errors import Refusal
from hil.inventory import Place, Rig, load, resources


class ShareRefused(Refusal, RuntimeError):
    """The coordinator did not take the places; the text is its own last line."""


def exporter_file(rig: Rig) -> str:
    """YAML for labgrid-exporter: a group for each place, with its resources."""
    import yaml

    groups: dict[str, Any] = {}
    for name, target in rig.environment.config.get_targets().items():
        group: dict[str, Any] = {}
        for cls, arguments in resources(target, name):
            key = str(arguments.pop("name", None) or cls)
            group[key] = {"cls": cls, **_exported(cls, arguments)}
        groups[name] = group
    text: str = yaml.safe_dump(groups, sort_keys=False)
    return text


def _exported(cls: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a resource. The coordinator's messages have neither lists nor tables: those of
    our own classes go as text, which hil.resources takes; labgrid's exporter works out its own.
    """
    from labgrid.factory import target_factory

    plain: dict[str, Any] = json.loads(json.dumps(arguments))
    if not target_factory.resources[cls].__module__.startswith("hil."):
        return plain
    return {
        key: json.dumps(value) if isinstance(value, (dict, list)) else value
        for key, value in plain.items()
    }


def publish(rig: Rig, coordinator: str, exporter: str) -> list[str]:
    """Create each place or bring it up to date; the names. ShareRefused."""
    import grpc
    from labgrid.remote.client import Error, start_session

    try:
        session = start_session(coordinator, extra={"env": None})
    except (ConnectionError, Error, grpc.RpcError) as e:
        raise ShareRefused(f"coordinator {coordinator}: {e or 'it does not answer'}") from None
    try:
        for place in rig.places:
            for step, what in _steps(session, place, f"{exporter}/{place.name}/*"):
                session.args = argparse.Namespace(place=place.name, **what)
                session.loop.run_until_complete(step())
    except (Error, grpc.RpcError) as e:
        raise ShareRefused(f"coordinator {coordinator}: {place.name}: {e}") from None
    finally:
        session.loop.run_until_complete(session.stop())
        session.loop.run_until_complete(session.close())
    return [place.name for place in rig.places]


def _steps(session: Any, place: Place, match: str) -> list[tuple[Any, dict[str, list[str]]]]:
    """What makes the coordinator's place that of the rig: labgrid merges tags, where an empty one
    goes, and a match stays until it is taken away.
    """
    known = session.places.get(place.name)
    steps: list[tuple[Any, dict[str, list[str]]]] = []
    if known is None:
        steps.append((session.add_place, {}))
    there = [] if known is None else [repr(each) for each in known.matches]
    if old := [each for each in there if each != match]:
        steps.append((session.del_match, {"patterns": old}))
    if match not in there:
        steps.append((session.add_match, {"patterns": [match]}))
    gone = {} if known is None else dict.fromkeys(known.tags, "")
    tags = [f"{key}={value}" for key, value in sorted((gone | place.tags).items())]
    return [*steps, (session.set_tags, {"tags": tags})]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m hil.share", description=__doc__)
    parser.add_argument("rig", type=Path, help="the rig's file")
    parser.add_argument("--coordinator", default="127.0.0.1:20408", metavar="HOST:PORT")
    parser.add_argument("--exporter", default="*", metavar="NAME", help="whose resources (any)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="for labgrid-exporter")
    asked = parser.parse_args()
    try:
        rig = load(asked.rig)
        if asked.write is not None:
            asked.write.write_text(exporter_file(rig), encoding="utf-8")
            print(f"{asked.write}: start it by labgrid-exporter {asked.write}")  # noqa: T201
        names = publish(rig, asked.coordinator, asked.exporter)
    except (Refusal, OSError) as e:
        print(f"hil.share: {e}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"{asked.coordinator} knows {', '.join(names)}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
