"""`kapok identity`: what is wrong with keys and certificates."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet import texts
from fleet.cli.alarm import lang_option
from fleet.cli.common import database, json_option, one_line_errors, say_json, settings

if TYPE_CHECKING:
    from fleet.identity.audit import Finding


@click.group()
def identity() -> None:
    """Identities of nodes and services: the audit.

    Example: kapok identity audit
    """


@identity.command()
@click.option(
    "--days", type=click.IntRange(1, 3650), default=180, show_default=True,
    help="How many days before its end a certificate is named.",
)  # fmt: skip
@lang_option
@json_option
@click.pass_context
@one_line_errors
def audit(ctx: click.Context, days: int, lang: str | None, as_json: bool) -> None:
    """Look for weak, shared and ending credentials, and live ones of nodes that are gone.

    One line for each finding, and what to do; of one kind 100 at most. Exit code 1 when one is
    critical.

    Example: kapok identity audit --days 365
    """
    from fleet.identity.audit import CRITICAL
    from fleet.identity.audit import audit as look
    from fleet.identity.authority import Authority

    chosen, lang = settings(), lang or texts.language()
    with database(needs=chosen) as db, db.read() as session:
        found = look(session, Authority.load(chosen.pki), days)
    if as_json:
        say_json([_as_json(each, lang) for each in found])
    elif not found:
        click.echo(texts.say("audit.clean", lang))
    else:
        for each in found:
            row = _as_json(each, lang)
            severity = texts.say(f"severity.{each.severity}", lang)
            click.echo(f"{severity}: {row['text']}: {row['advice']}")
    if any(each.severity == CRITICAL for each in found):
        ctx.exit(1)


def _as_json(found: "Finding", lang: str) -> dict[str, Any]:
    return {
        **found._asdict(),
        "text": texts.say(f"audit.{found.check}", lang, found.detail),
        "advice": texts.say(f"advice.{found.check}", lang, found.detail),
    }
