"""`kapok token`: rights to provision boards, each for one person, area, node type and count."""

from typing import Any

import rich_click as click

from fleet.cli.common import (
    database,
    iso,
    json_option,
    one_line_errors,
    say_json,
    say_table,
    settings,
)


@click.group()
def token() -> None:
    """Claim tokens of technicians: add, list, revoke.

    Example: kapok token list
    """


@token.command()
@click.option("--person", required=True, help="Who provisions with it.")
@click.option("--area", required=True, help="Area code, or the beginning of several.")
@click.option("--node", "node_type", required=True, help="Node type, such as gas-meter.")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="Boards.")
@click.option("--days", type=click.IntRange(1), default=7, show_default=True, help="Lifetime.")
@click.option(
    "--again",
    type=click.Choice(["ask", "keep-identity", "keep-history", "new"]),
    default="ask",
    show_default=True,
    help="What becomes of a board that is registered already.",
)
@json_option
@one_line_errors
def add(
    person: str, area: str, node_type: str, count: int, days: int, again: str, as_json: bool
) -> None:
    """Make a token. Its text is shown once, and lies nowhere else.

    Example: kapok token add --person "Li Wei" --area 440106 --node gas-meter --count 50 --days 7
    """
    from fleet.enrol.types import roles
    from fleet.identity import token_text, tokens
    from fleet.identity.authority import Authority
    from fleet.registry.operations import list_areas

    chosen = settings()
    fleet = token_text.fleet_digest(Authority.load(chosen.pki).root_der)
    roles().of(node_type)
    with database(needs=chosen) as db, db.begin() as session:
        first = list_areas(session, limit=1000)
        if not area or not any(one.code.startswith(area) for one in first):
            raise click.ClickException(
                f"area {area[:20]!r} is unknown: kapok area add {area[:20]} NAME"
            )
        token_id, text = tokens.add(
            session, fleet, person=person, area=area, node_type=node_type, count=count,
            days=days, policy=again,
        )  # fmt: skip
    if as_json:
        say_json({"id": token_id, "token": text})
        return
    click.echo(text)
    click.echo(
        f"token {token_id} of {person}: {count} {node_type} board(s) in {area}, {days} day(s);"
        " the text above is not shown again",
        err=True,
    )


@token.command("list")
@click.option("--person", default="", help="Only tokens of this person.")
@json_option
@one_line_errors
def list_(person: str, as_json: bool) -> None:
    """List tokens; their texts are not known to the fleet.

    Example: kapok token list --person "Li Wei"
    """
    from fleet.identity import tokens

    with database() as db, db.read() as session:
        found = tokens.list_(session, person)
    if as_json:
        say_json([_as_json(one) for one in found])
        return
    headings = ["id", "person", "area", "node type", "used", "again", "state", "expires"]
    rows = [
        [str(one.id), one.person, one.area, one.node_type, f"{one.used}/{one.boards}", one.policy,
         one.state, iso(one.expires_us)]
        for one in found
    ]  # fmt: skip
    say_table("tokens", headings, rows)


def _as_json(one: Any) -> dict[str, Any]:
    times = {"created": iso(one.created_us), "expires": iso(one.expires_us)}
    kept = {k: v for k, v in one._asdict().items() if not k.endswith("_us")}
    return {**kept, **times}


@token.command()
@click.argument("token_id", type=int, required=False)
@click.option("--person", default="", help="Every token of this person: a laptop was stolen.")
@json_option
@one_line_errors
def revoke(token_id: int | None, person: str, as_json: bool) -> None:
    """End a token, or all of a person, at once.

    What was provisioned with it stays good; what was claimed and not confirmed can be provisioned
    again with another token.

    Example: kapok token revoke --person "Li Wei"
    """
    from fleet.identity import tokens

    if (token_id is None) == (not person):
        raise click.UsageError("either a token's id or --person")
    which = tokens.of_person(person) if token_id is None else tokens.of_id(token_id)
    with database() as db, db.begin() as session:
        count = tokens.revoke(session, which)
    if as_json:
        say_json({"revoked": count})
    else:
        click.echo(f"{count} token(s) revoked")
