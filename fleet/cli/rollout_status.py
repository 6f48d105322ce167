"""`kapok rollout status|nodes|list`: how rollouts go, also live."""

import time
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet import texts
from fleet.cli.common import (
    database,
    iso,
    json_option,
    one_line_errors,
    say_json,
    say_table,
)
from fleet.cli.control_options import lang_option, limit_option

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fleet.rollouts.listing import Status

_EVERY_S = 2.0
_ID = click.IntRange(1, 2**30 - 1)


@click.command()
@click.argument("name")
@click.option("--watch", is_flag=True, help="Again and again, until it is over or Ctrl-C.")
@lang_option
@json_option
@one_line_errors
def status(name: str, watch: bool, lang: str | None, as_json: bool) -> None:
    """Show how a rollout goes: its groups, what waits and why, what failed and why, its history.

    Example: kapok rollout status july --watch
    """
    from rich.console import Console
    from rich.live import Live

    from fleet.rollouts import lifecycle, listing

    if watch and as_json:
        raise click.UsageError("--watch is for people: --json alone, again and again")
    chosen = lang or texts.language()
    with database() as db:

        def look() -> "Status":
            with db.read() as session:
                return listing.status(session, name)

        found = look()
        if as_json:
            say_json(_as_json(found))
            return
        console = Console()
        if not console.is_terminal:
            console = Console(width=10_000)
        if not watch:
            console.print(picture(found, chosen))
            return
        with Live(picture(found, chosen), console=console, auto_refresh=False) as live:
            try:
                while found.rollout.state not in lifecycle.OVER:
                    time.sleep(_EVERY_S)
                    found = look()
                    live.update(picture(found, chosen), refresh=True)
            except KeyboardInterrupt:
                return


@click.command()
@click.argument("name")
@click.option("--state", default="", help="Only nodes in this state, such as failed or lost.")
@click.option("--after", type=click.IntRange(0), default=0, help="Continue behind this place.")
@limit_option
@lang_option
@json_option
@one_line_errors
def nodes(name: str, state: str, after: int, limit: int, lang: str | None, as_json: bool) -> None:
    """List what became of a rollout at each node, in its order. Of one node: kapok why NODE.

    Example: kapok rollout nodes july --state rolled-back
    """
    from fleet.rollouts import listing, states
    from fleet.rollouts.errors import RolloutError
    from fleet.rollouts.wording import headings, picture_text, reason_text, update_text

    if state and state not in states.ALL:
        raise RolloutError(f"state {state[:20]!r}: one of {', '.join(states.ALL)}")
    chosen = lang or texts.language()
    with database() as db, db.read() as session:
        found = listing.parts(session, name, state=state, after=after, limit=limit)
    if as_json:
        say_json([_times(one) for one in found])
        return
    table = [
        [
            str(one.place), one.node, str(one.group), update_text(one.state, chosen),
            reason_text(one.reason, chosen), str(one.mark or ""), iso(one.moved_us),
        ]
        for one in found
    ]  # fmt: skip
    titles = headings("place node group state why bytes since", chosen)
    say_table(picture_text("nodes", chosen), titles, table)


@click.command("list")
@click.option("--all", "history", is_flag=True, help="Those that are over too.")
@click.option("--before", type=_ID, help="Continue with those before this id.")
@limit_option
@lang_option
@json_option
@one_line_errors
def list_(history: bool, before: int | None, limit: int, lang: str | None, as_json: bool) -> None:
    """List rollouts, the newest first.

    Example: kapok rollout list --all
    """
    from fleet.rollouts import listing
    from fleet.rollouts.wording import headings, picture_text, state_text

    chosen = lang or texts.language()
    with database() as db, db.read() as session:
        found = listing.list_(session, history=history, before=before or 0, limit=limit)
    if as_json:
        say_json([_times(one) for one in found])
        return
    table = [
        [
            str(one.id), one.name, str(one.release), state_text(one.state, one.why, chosen),
            str(one.total), str(one.tally.good), str(one.tally.open), str(one.tally.bad),
            one.asked_by, one.approved_by or "", iso(one.asked_us),
        ]
        for one in found
    ]  # fmt: skip
    titles = headings(
        "id name release state nodes good open bad asked approved made", chosen
    )  # fmt: skip
    say_table(picture_text("rollouts", chosen), titles, table)


def picture(found: "Status", lang: str) -> "RenderableType":
    """A rollout as people look at it."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from fleet.rollouts import counting
    from fleet.rollouts.wording import event_text, group_text, headings, picture_text, state_text

    one = found.rollout
    done = one.tally.good + one.tally.bad + one.tally.neutral
    lines = [
        picture_text("title", lang, name=one.name, release=one.release, query=one.query),
        picture_text(
            "progress", lang, state=state_text(one.state, one.why, lang), done=done,
            total=one.total, percent=100 * done // one.total if one.total else 0, rate=found.rate,
        ),
    ]  # fmt: skip
    table = Table(*headings("group state nodes scheduled open good bad errors", lang))
    for group in found.groups:
        tally = counting.tally(dict(group.counts))
        table.add_row(
            group_text(group.name, lang), texts.say(f"rollout-group-state.{group.state}", lang),
            str(group.total), str(tally.scheduled), str(tally.open), str(tally.good),
            str(tally.bad), str(group.errors),
        )  # fmt: skip
    below = _below(found, lang)
    below += [
        f"{iso(event.at_us)} {event.person or '-'}: {event_text(event, lang)}"
        for event in found.events[:8]
    ]
    return Group(*map(Text, lines), table, *map(Text, below))


def _below(found: "Status", lang: str) -> list[str]:
    from fleet.rollouts.states import OPEN
    from fleet.rollouts.wording import picture_text, reason_text, update_text

    counts = found.rollout.counts
    flying = [f"{counts[state]} {update_text(state, lang)}" for state in OPEN if counts.get(state)]
    said = [", ".join(flying)] if flying else []
    for title, reasons in (("waiting", found.waiting), ("failed", found.reasons)):
        several = sorted(reasons.items(), key=lambda item: -item[1])[:5]
        if several:
            words = "; ".join(f"{count} {reason_text(key, lang)}" for key, count in several)
            said.append(picture_text(title, lang, several=words))
    return said


def _times(one: Any) -> dict[str, Any]:
    """A named tuple with its times as ISO 8601."""
    return {
        key.removesuffix("_us"): iso(value) if key.endswith("_us") else value
        for key, value in one._asdict().items()
    }


def _as_json(found: "Status") -> dict[str, Any]:
    return {
        **_times(found.rollout), "rate": found.rate, "waiting": found.waiting,
        "reasons": found.reasons, "plan": found.plan,
        "groups": [_times(group) for group in found.groups],
        "events": [_times(event) for event in found.events],
    }  # fmt: skip
