"""`kapok area`."""

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json, say_table


@click.group()
def area() -> None:
    """Administrative areas: city 4401, district 440106, street 440106001.

    Example: kapok area add 440106 Tianhe
    """


@area.command()
@click.argument("code")
@click.argument("name")
@json_option
@one_line_errors
def add(code: str, name: str, as_json: bool) -> None:
    """Add an area, or rename it.

    Example: kapok area add 440106 Tianhe
    """
    from fleet.registry.operations import add_area

    with database() as db, db.begin() as session:
        row = add_area(session, code, name)
        code, name = row.code, row.name
    if as_json:
        say_json({"code": code, "name": name})
    else:
        click.echo(f"area {code} {name}")


@area.command("list")
@click.option("--after", default="", help="Continue behind this code.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
@one_line_errors
def list_(after: str, limit: int, as_json: bool) -> None:
    """List areas by code.

    Example: kapok area list --json
    """
    from fleet.registry.operations import list_areas

    with database() as db, db.read() as session:
        rows = [(row.code, row.name) for row in list_areas(session, after, limit)]
    if as_json:
        say_json([{"code": code, "name": name} for code, name in rows])
    else:
        say_table("areas", ["code", "name"], [list(row) for row in rows])
