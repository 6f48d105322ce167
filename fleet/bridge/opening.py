"""A mapping's source, by its kind."""

from dataclasses import replace
from pathlib import Path

from fleet.bridge.deadletters import DeadLetters
from fleet.bridge.mapping import Mapped
from fleet.bridge.rows import Source


def to_look_at(mapped: Mapped, most: int) -> Source:
    """The connector for a look at up to so many rows; a broker keeps no session of it."""
    if mapped.kind != "mqtt":
        return source(replace(mapped, batch=most))
    from fleet.bridge.sources.mqtt import MqttSource

    return MqttSource(mapped.source, f"{mapped.name}-preview", most, is_kept=False)


def source(mapped: Mapped) -> Source:
    """The connector; MappingFault names the key of [source] that is wrong."""
    if mapped.kind == "database":
        from fleet.bridge.sources.database import DatabaseSource

        return DatabaseSource(mapped.source, mapped.batch)
    if mapped.kind == "folder":
        from fleet.bridge.sources.folder import FolderSource

        return FolderSource(mapped.source, mapped.batch)
    if mapped.kind == "rest":
        from fleet.bridge.sources.rest import RestSource

        return RestSource(mapped.source)
    from fleet.bridge.sources.mqtt import MqttSource

    return MqttSource(mapped.source, mapped.name, mapped.batch)


def letters(data: Path, name: str) -> DeadLetters:
    """The dead letters of a bridge, in a data folder."""
    return DeadLetters(data / "bridge" / f"{name}.dead.jsonl")
