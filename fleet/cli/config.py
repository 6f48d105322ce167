"""`kapok config`: what nodes are to have, layer by layer, and which of them do not report it."""

import json
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet import texts
from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table
from fleet.cli.control_options import (
    Setting,
    by_option,
    lang_option,
    limit_option,
    one_target,
    target_options,
)
from fleet.whoami import user_name

if TYPE_CHECKING:
    from fleet.control.targets import Target


@click.group()
def config() -> None:
    """Configuration that is wanted of areas, groups and nodes: set, show, drift, schema.

    A street wins over its city, a group over areas, a node over all; a key that nobody wants any
    more falls back to the layer below, and at last to its default.

    Example: kapok config set --area 440106 --role drainage report_s=3600
    """


@config.command("set")
@click.argument("values", nargs=-1, required=True, type=Setting(), metavar="KEY=VALUE...")
@target_options
@click.option("--version", type=click.IntRange(0, 2**31 - 1), help="Refuse unless it is at this.")
@click.option(
    "--costly", is_flag=True, help="Set it though batteries of a whole group or area pay for it."
)
@by_option
@json_option
@one_line_errors
def set_(
    values: tuple[tuple[str, Any], ...],
    node_ids: tuple[str, ...],
    group: str,
    area: str,
    role: str,
    version: int | None,
    costly: bool,
    by: str,
    as_json: bool,
) -> None:
    """Want something of a node, a group or an area. KEY= is not wanted any more.

    Example: kapok config set --group pilots report_s=900 log_level=2 --by "Li Wei"
    """
    from fleet.control import keys, layers
    from fleet.control.targets import NODE

    target = one_target(node_ids, group, area, role)
    patch = dict(values)
    if len(patch) < len(values):
        raise click.UsageError("a key is given twice")
    with database() as db, db.begin() as session:
        found = layers.set_(session, target, patch, by or user_name(), version=version)
        dear = keys.costly(patch, layers.roles_of(session, target))
        if dear and target.kind != NODE and not costly:
            raise click.ClickException(
                f"{', '.join(dear)}: dear for every battery of {target}; --costly, or per node"
            )
    if as_json:
        say_json({**_target(target), **found._asdict()})
    else:
        click.echo(f"{target}: version {found.version}; patches for {found.nodes} node(s) so far")


@config.command()
@target_options
@click.option("--history", is_flag=True, help="Who changed it, the newest last.")
@limit_option
@json_option
@one_line_errors
def show(
    node_ids: tuple[str, ...],
    group: str,
    area: str,
    role: str,
    history: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Show a layer; of a node what is wanted by which layer, and what it reports.

    Example: kapok config show --node 1gntj14d2p
    """
    from fleet.control import drift, layers
    from fleet.control.targets import NODE

    target = one_target(node_ids, group, area, role)
    with database() as db, db.read() as session:
        found = layers.show(session, target)
        changes = layers.history(session, target, limit) if history else []
        rows = drift.keys_of(session, target.name) if target.kind == NODE else []
    if as_json:
        shown: dict[str, Any] = {
            **_target(target),
            "version": found.version,
            "values": found.values,
        }
        if target.kind == NODE:
            shown["keys"] = [row._asdict() for row in rows]
        if history:
            shown["history"] = [{**c._asdict(), "changed_us": iso(c.changed_us)} for c in changes]
        say_json(shown)
        return
    click.echo(f"{target}: version {found.version}: {_text(found.values)}")
    if rows:
        table = [[r.key, _text(r.wanted), r.of, _text(r.reported)] for r in rows]
        say_table("keys", ["key", "wanted", "of", "reported"], table)
    if history:
        table = [[str(c.version), iso(c.changed_us), c.person, _text(c.patch)] for c in changes]
        say_table("history", ["version", "when", "person", "patch"], table)


@config.command()
@limit_option
@json_option
@one_line_errors
def layers(limit: int, as_json: bool) -> None:
    """List what is wanted of whom.

    Example: kapok config layers
    """
    from fleet.control.layers import list_

    with database() as db, db.read() as session:
        found = list_(session, limit=limit)
    if as_json:
        say_json([{**_target(s.target), "version": s.version, "values": s.values} for s in found])
        return
    table = [[str(s.target), str(s.version), _text(s.values)] for s in found]
    say_table("layers", ["of", "version", "values"], table)


@config.command()
@click.option("--area", default="", help="Only nodes whose area code begins so.")
@click.option("--role", default="", help="Only nodes of this role.")
@click.option("--after", default="", help="Continue behind this node id.")
@limit_option
@lang_option
@json_option
@one_line_errors
def drift(area: str, role: str, after: str, limit: int, lang: str | None, as_json: bool) -> None:
    """List the nodes that do not report what is wanted of them, and why.

    Example: kapok config drift --area 4401
    """
    from fleet.control import drift as drifts
    from fleet.control.wording import newest_text

    chosen = lang or texts.language()
    with database() as db, db.read() as session:
        found = drifts.list_(session, area=area, role=role, after=after, limit=limit)
        total = drifts.count(session)
    if as_json:
        say_json(
            [
                {
                    "node": one.node, "role": one.role, "area": one.area,
                    "number": one.newest.number if one.newest else None,
                    "state": one.newest.state if one.newest else drifts.UNSAID,
                    "text": newest_text(one.newest, chosen),
                    "keys": {
                        key: {"wanted": wanted, "reported": has}
                        for key, (wanted, has) in one.differences.items()
                    },
                }
                for one in found
            ]
        )  # fmt: skip
        return
    table = [
        [
            one.node, one.role, one.area,
            ", ".join(f"{key} {_text(has) or '-'} -> {_text(wanted) or '-'}"
                      for key, (wanted, has) in one.differences.items()),
            newest_text(one.newest, chosen),
        ]
        for one in found
    ]  # fmt: skip
    say_table(
        f"{total} node(s) drift", ["node", "role", "area", "reported -> wanted", "why"], table
    )


@config.command()
@click.argument("node_id")
@json_option
@one_line_errors
def resend(node_id: str, as_json: bool) -> None:
    """Send a node once more what it does not report as it is wanted, as after a refusal.

    Example: kapok config resend 1gntj14d2p
    """
    from fleet.control import desired
    from fleet.registry.operations import show_node

    with database() as db, db.begin() as session:
        show_node(session, node_id)
        count = desired.resend(session, node_id)
    if as_json:
        say_json({"id": node_id, "keys": count})
    else:
        click.echo(f"{count} key(s) go to node {node_id} again")


@config.command()
@click.argument("role")
@json_option
@one_line_errors
def schema(role: str, as_json: bool) -> None:
    """Show every key of a role: type, bounds, default.

    Example: kapok config schema gas-meter
    """
    from fleet.control.keys import of_role

    found = of_role(role)
    if as_json:
        say_json([key._asdict() for key in found])
        return
    table = [
        [
            key.name,
            key.kind,
            str(key.most) if key.least is None else f"{key.least}..{key.most}",
            "" if key.default is None else _text(key.default),
        ]
        for key in found
    ]
    say_table(f"keys of a {role}", ["key", "type", "bounds or length", "default"], table)


def _target(target: "Target") -> dict[str, str]:
    return {"kind": target.kind, "name": target.name, "role": target.role}


def _text(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=bytes.hex)
