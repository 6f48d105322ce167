"""Options that commands, groups and configurations share: who it is for, and who wants it."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet import texts

if TYPE_CHECKING:
    from fleet.control.targets import Target

lang_option = click.option(
    "--lang", type=click.Choice(texts.LANGUAGES), help="Language; default: by LANG."
)
by_option = click.option("--by", default="", help="Who does it; default: the account.")
limit_option = click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True
)
_NODE = click.option("--node", "node_ids", multiple=True, metavar="NODE", help="A node.")
_GROUP = click.option("--group", default="", help="The nodes of a group.")
_AREA = click.option("--area", default="", help="The nodes of an area, and of all in it.")
_ROLE = click.option("--role", default="", help="Only nodes of this role.")


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--node (repeated), --group or --area, and --role."""
    for option in (_ROLE, _AREA, _GROUP, _NODE):
        command = option(command)
    return command


def targets_of(node_ids: tuple[str, ...], group: str, area: str, role: str) -> "list[Target]":
    """What the options name; a usage error unless it is nodes, one group or one area."""
    from fleet.control.targets import AREA, GROUP, NODE, Target

    if sum((bool(node_ids), bool(group), bool(area))) != 1:
        raise click.UsageError("one of --node, --group and --area")
    if node_ids and role:
        raise click.UsageError("--role goes with --group or --area")
    if node_ids:
        return [Target(NODE, node_id) for node_id in node_ids]
    return [Target(GROUP, group, role) if group else Target(AREA, area, role)]


def one_target(node_ids: tuple[str, ...], group: str, area: str, role: str) -> "Target":
    """The same for what goes to one node only."""
    found = targets_of(node_ids, group, area, role)
    if len(found) > 1:
        raise click.UsageError("one node, or a group of several")
    return found[0]


class Setting(click.ParamType[tuple[str, Any]]):
    """KEY=VALUE: the value as JSON, else as text; KEY= is None."""

    name = "setting"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        key, sign, text = str(value).partition("=")
        if not sign or not key:
            self.fail(f"{str(value)[:40]!r} is not KEY=VALUE", param)
        try:
            return key, json.loads(text) if text else None
        except (ValueError, RecursionError):
            return key, text


class Duration(click.ParamType[int]):
    """Seconds of 90s, 15m, 48h or 7d."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        text = str(value)
        unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:])
        if unit is None or not text[:-1].isascii() or not text[:-1].isdecimal() or len(text) > 9:
            self.fail(f"{text[:20]!r} is no duration such as 15m, 48h or 7d", param)
        return int(text[:-1]) * unit
