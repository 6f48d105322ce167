"""`kapok alarm pack`: the rules by which alarms are raised, as data."""

from pathlib import Path

import rich_click as click

from fleet import texts
from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table
from fleet.whoami import user_name

_lang_option = click.option(
    "--lang", type=click.Choice(texts.LANGUAGES), help="Language; default: by LANG."
)
_by_option = click.option("--by", default="", help="Who does it; default: the account.")
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def pack() -> None:
    """Rule packs: list, show, check, add, switch on and off, remove.

    Example: kapok alarm pack list
    """


@pack.command("list")
@_lang_option
@json_option
@one_line_errors
def list_(lang: str | None, as_json: bool) -> None:
    """List packs: those that come along, and those that were added.

    Example: kapok alarm pack list
    """
    from fleet.alarms import packs

    with database() as db, db.read() as session:
        found = packs.list_(session, lang or texts.language())
    if as_json:
        say_json([{**each._asdict(), "changed": iso(each.changed_us)} for each in found])
        return
    rows = [
        [each.name, each.title, each.origin, "on" if each.is_on else "off", str(each.rules),
         iso(each.changed_us), each.changed_by or ""]
        for each in found
    ]  # fmt: skip
    say_table("rule packs", ["name", "title", "origin", "", "rules", "changed", "by"], rows)


@pack.command()
@click.argument("name")
@json_option
@one_line_errors
def show(name: str, as_json: bool) -> None:
    """Print a pack as it is; change a copy of it, and add that.

    Example: kapok alarm pack show flood > flood.toml
    """
    from fleet.alarms import packs

    with database() as db, db.read() as session:
        text = packs.text_of(session, name)
    if as_json:
        say_json({"name": name, "toml": text})
    else:
        click.echo(text, nl=False)


@pack.command()
@click.argument("file", type=_FILE)
@json_option
@one_line_errors
def check(file: Path, as_json: bool) -> None:
    """Check a pack without adding it.

    Example: kapok alarm pack check flood.toml
    """
    from fleet.alarms import pack_file

    found = pack_file.parse(_read(file))
    if as_json:
        say_json({"name": found.name, "rules": [rule.kind for rule in found.rules]})
    else:
        click.echo(f"pack {found.name}: {len(found.rules)} rules")


@pack.command()
@click.argument("file", type=_FILE)
@_by_option
@json_option
@one_line_errors
def add(file: Path, by: str, as_json: bool) -> None:
    """Put the rules of a file in force, in the place of a pack of the same name.

    Example: kapok alarm pack add flood.toml --by "Li Wei"
    """
    from fleet.alarms import packs

    text = _read(file)
    with database() as db, db.begin() as session:
        found = packs.add(session, text, by or user_name())
    if as_json:
        say_json({"name": found.name, "rules": [rule.kind for rule in found.rules]})
    else:
        click.echo(f"pack {found.name}: {len(found.rules)} rules in force")


@pack.command()
@click.argument("name")
@click.argument("state", type=click.Choice(["on", "off"]))
@_by_option
@json_option
@one_line_errors
def switch(name: str, state: str, by: str, as_json: bool) -> None:
    """Put a pack in force, or out of it; its open alarms end with it.

    Example: kapok alarm pack switch lighting off
    """
    from fleet.alarms import packs

    with database() as db, db.begin() as session:
        packs.switch(session, name, state == "on", by or user_name())
    if as_json:
        say_json({"name": name, "is_on": state == "on"})
    else:
        click.echo(f"pack {name} is {state}")


@pack.command()
@click.argument("name")
@_by_option
@json_option
@one_line_errors
def remove(name: str, by: str, as_json: bool) -> None:
    """Forget a pack that was added; one that comes along is as it came again.

    Example: kapok alarm pack remove flood
    """
    from fleet.alarms import packs

    with database() as db, db.begin() as session:
        packs.remove(session, name, by or user_name())
    if as_json:
        say_json({"removed": name})
    else:
        click.echo(f"pack {name} removed")


def _read(file: Path) -> str:
    from fleet.alarms.errors import PackError
    from fleet.alarms.pack_file import MOST_BYTES

    with file.open("rb") as opened:
        raw = opened.read(MOST_BYTES + 1)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise PackError(f"{file} is not UTF-8 text") from None
