"""What the commands of `kapok migrate` that move items share: the office, who acts, the answer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click

from fleet.cli.common import database, say_json, settings

if TYPE_CHECKING:
    from fleet.migration.desk import Office

item_option = click.option(
    "--item", "item_ids", multiple=True, type=click.IntRange(1), help="One item; repeated."
)
wave_option = click.option("--wave", type=click.IntRange(1), help="Only items of this wave.")
person_option = click.option(
    "--by", "person", default="", envvar="KAPOK_PERSON", help="Who does it; default: the login."
)


class Opened(NamedTuple):
    """A programme's id and name, and the office over its database."""

    office: "Office"
    programme_id: int
    name: str


@contextmanager
def programme(name: str) -> Iterator[Opened]:
    """The office of a programme, by its name or id."""
    from fleet.migration.audit import find

    with office() as made:
        with made.database.read() as session:
            row = find(session, name)
        yield Opened(made, row.id, row.name)


@contextmanager
def office() -> Iterator["Office"]:
    """An office that signs by the fleet's evidence key."""
    from fleet.migration.desk import Office
    from fleet.migration.evidence_key import open_signer

    chosen = settings()
    with database(needs=chosen) as db:
        yield Office(db, open_signer(chosen))


def who(person: str) -> str:
    """The person's name: as given, or of the login."""
    from fleet.registry.operations import check_text
    from fleet.whoami import user_name

    return check_text(person or user_name(), "--by")


def those(
    opened: Opened, states: Sequence[str], wave: int | None, item_ids: Sequence[int]
) -> list[int]:
    """Ids of items; LedgerError for one that was named and is not in such a state."""
    from fleet.migration import items
    from fleet.migration.breaches import LedgerError

    with opened.office.database.read() as session:
        found = items.those(session, opened.programme_id, states, wave=wave, ids=item_ids)
    missing = sorted(set(item_ids) - set(found))
    if missing:
        raise LedgerError(
            f"item {missing[0]} of {opened.name} is not {' or '.join(states)}: "
            f"kapok migrate ledger items {opened.name}"
        )
    return found


def say(
    done: Sequence[dict[str, Any]], waits: Sequence[tuple[int, str]],
    refused: Sequence[tuple[int, str]], word: str, as_json: bool,
) -> None:  # fmt: skip
    """What was done, and of each other item why not; exit code 1 where something was refused, and
    not for what only waits.
    """
    if as_json:
        others = {"waits": waits, "refused": refused}
        listed = {
            name: [{"item": item_id, "why": text} for item_id, text in several]
            for name, several in others.items()
        }
        say_json({word: list(done), **listed})
    else:
        more = f", {len(refused)} refused" if refused else ""
        click.echo(f"{len(done)} item(s) {word}, {len(waits)} wait(s){more}")
        for item_id, text in (*waits, *refused):
            click.echo(f"item {item_id}: {text}")
    if refused:
        raise click.ClickException(
            f"{len(refused)} item(s) refused; the others are {word} or wait"
        )
