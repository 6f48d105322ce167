"""`kapok migrate cutover|rollback|decommission`: which terminal is billed, and which is let go."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import rich_click as click

from fleet.cli import migrate_office
from fleet.cli.common import database, json_option, one_line_errors, say_json
from fleet.cli.migrate_office import item_option, person_option, wave_option

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from fleet.migration.decommission import Asked


@click.command()
@click.argument("name")
@item_option
@wave_option
@person_option
@json_option
@one_line_errors
def cutover(
    name: str, item_ids: tuple[int, ...], wave: int | None, person: str, as_json: bool
) -> None:
    """Bill the new terminals of a programme where they are seen to count as the old ones do.

    Items that are installed are compared first; those that wait, or are apart, are told with the
    reason and stay as they are.

    Example: kapok migrate cutover gas-tianhe --wave 1
    """
    from fleet.migration import cutover as moves
    from fleet.migration import gate, states
    from fleet.migration.states import Actor

    by = migrate_office.who(person)
    with migrate_office.programme(name) as opened:
        wanted = (states.INSTALLED, states.PARITY)
        ids = migrate_office.those(opened, wanted, wave, item_ids)
        verdicts, unjudged = opened.office.all_or_each(ids, Actor.FLEET, "", gate.judge)
        waits = [(one.item_id, one.text) for one in verdicts if not one.passed]
        ready = migrate_office.those(opened, (states.PARITY,), wave, ())
        ready = [one for one in ready if not item_ids or one in item_ids]
        moved, refused = opened.office.all_or_each(ready, Actor.PERSON, by, moves.cut_over)
    done = [{"item": one.item_id, "index": one.at_index} for one in moved]
    migrate_office.say(done, waits, unjudged + refused, "cut over", as_json)


@click.command()
@click.argument("name")
@item_option
@wave_option
@click.option("--reason", required=True, help="Why; it is put on record.")
@click.option("--final", type=click.IntRange(0), help="Counts on the new dial now; one item.")
@click.option("--initial", type=click.IntRange(0), help="Counts on the old dial now; one item.")
@person_option
@json_option
@one_line_errors
def rollback(
    name: str, item_ids: tuple[int, ...], wave: int | None, reason: str, final: int | None,
    initial: int | None, person: str, as_json: bool,
) -> None:  # fmt: skip
    """Bill the old terminals again, at any stage until an item's deadline.

    The bill goes on from the last moment at which both told their registers, or from the two dials
    as they are now, in counts as the terminals report them.

    Example: kapok migrate rollback gas-tianhe --item 17 --reason "no coverage in the basement"
    """
    from fleet.migration import states
    from fleet.migration.cutover import roll_back
    from fleet.migration.handover import Typed
    from fleet.migration.states import Actor
    from fleet.registry.operations import now_us

    if (final is None) != (initial is None) or (final is not None and len(item_ids) != 1):
        raise click.UsageError("--final and --initial go together, with one --item")
    if not item_ids and wave is None:
        raise click.UsageError("--item N, or --wave N")
    by = migrate_office.who(person)
    typed = None if final is None else Typed(now_us(), final, initial)
    with migrate_office.programme(name) as opened:
        ids = migrate_office.those(opened, states.UNDER_WAY, wave, item_ids)
        moved, refused = opened.office.all_or_each(
            ids, Actor.PERSON, by, lambda desk, some: roll_back(desk, some, reason, typed)
        )
    done = [{"item": one.item_id, "index": one.at_index} for one in moved]
    migrate_office.say(done, (), refused, "rolled back", as_json)


@click.command()
@click.argument("name", required=False)
@item_option
@wave_option
@click.option("--pending", is_flag=True, help="What operators and platforms have yet to confirm.")
@click.option("--confirm-sim", default="", metavar="ICCID", help="The operator cancelled it.")
@click.option("--confirm-alias", default="", metavar="NAME", help="The platforms forgot it.")
@person_option
@json_option
@one_line_errors
def decommission(
    name: str | None, item_ids: tuple[int, ...], wave: int | None, pending: bool,
    confirm_sim: str, confirm_alias: str, person: str, as_json: bool,
) -> None:  # fmt: skip
    """Let old terminals go whose successors were billed, once nobody may go back any more.

    Their keys are revoked, nothing of them is taken in, and their SIMs and platform aliases are
    listed for cancellation; all of that is signed evidence.

    Example: kapok migrate decommission gas-tianhe && kapok migrate decommission --pending
    """
    from fleet.migration import decommission as letting
    from fleet.migration import states
    from fleet.migration.cutover import settle
    from fleet.migration.states import Actor
    from fleet.registry.operations import now_us

    by = migrate_office.who(person)
    chosen = sum((name is not None, pending, bool(confirm_sim), bool(confirm_alias)))
    if chosen != 1:
        raise click.UsageError("a programme, --pending, --confirm-sim or --confirm-alias")
    if name is None:
        if pending:
            with database() as db, db.read() as session:
                _pending(_asked(session), as_json)
            return
        with migrate_office.office() as office, office.database.begin() as session:
            what, text = ("sim", confirm_sim) if confirm_sim else ("alias", confirm_alias)
            count = letting.confirm(office.desk(session, Actor.PERSON, by), what, text)
        if as_json:
            say_json({"confirmed": count})
        else:
            click.echo(f"{what} {text} is confirmed")
        return
    with migrate_office.programme(name) as opened:
        both = (states.CUT_OVER, states.SETTLED)
        ids = migrate_office.those(opened, both, wave, item_ids)
        _, unsettled = opened.office.all_or_each(ids, Actor.FLEET, "", settle)
        settled = set(migrate_office.those(opened, (states.SETTLED,), wave, ())) & set(ids)
        with opened.office.database.read() as session:
            held = letting.held(session, sorted(settled), now_us())
        gone, refused = opened.office.all_or_each(
            sorted(settled - set(held)), Actor.PERSON, by, letting.decommission
        )
    text = "its bill was not closed on the new terminal yet: kapok migrate ledger freeze"
    told = settled | {one for one, _ in unsettled}
    waits = [*held.items(), *((one, text) for one in ids if one not in told)]
    done = [{"item": one} for one in gone]
    migrate_office.say(done, waits, unsettled + refused, "decommissioned", as_json)


def _asked(session: "Session") -> "list[Asked]":
    from fleet.migration import decommission as letting

    found: list[Asked] = []
    while page := letting.asked(session, found[-1].item_id if found else 0):
        found += page
    return found


def _pending(asked: "Sequence[Asked]", as_json: bool) -> None:
    from fleet.cli.common import iso, say_table

    if as_json:
        say_json([one._asdict() for one in asked])
        return
    headings = ["item", "terminal", "SIM to cancel", "alias to forget", "asked"]
    said = [[str(r.item_id), r.terminal_id, r.iccid, r.alias, iso(r.at_us)] for r in asked]
    say_table("not confirmed yet", headings, said)
