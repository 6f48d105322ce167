"""`kapok alarm channel`: where alarms are told, by webhook and by mail."""

from typing import Any

import rich_click as click

from fleet import texts
from fleet.cli.common import (
    database,
    iso,
    json_option,
    one_line_errors,
    say_json,
    say_table,
    settings,
)
from fleet.whoami import user_name


@click.group()
def channel() -> None:
    """Where alarms are told: add, list, test, remove.

    Example: kapok alarm channel list
    """


@channel.command()
@click.argument("name")
@click.option("--webhook", metavar="URL", help="POST there, signed.")
@click.option("--mail", metavar="ADDRESS", help="Mail to there, by the server of kapok.toml.")
@click.option("--severity", type=click.Choice(["notice", "warning", "critical"]),
              default="warning", show_default=True, help="This and graver.")  # fmt: skip
@click.option("--area", default="", help="Only of an area and all within it.")
@click.option("--after", "after_s", type=click.IntRange(0), default=0, metavar="SECONDS",
              help="Escalation: only what still stands then.")  # fmt: skip
@click.option("--until", type=click.Choice(["acknowledged", "cleared"]), default="acknowledged",
              show_default=True, help="What stops the escalation.")  # fmt: skip
@click.option("--lang", type=click.Choice(texts.LANGUAGES), default="zh", show_default=True,
              help="Language of mails; webhooks have both.")  # fmt: skip
@json_option
@one_line_errors
def add(
    name: str,
    webhook: str | None,
    mail: str | None,
    severity: str,
    area: str,
    after_s: int,
    until: str,
    lang: str,
    as_json: bool,
) -> None:
    """Tell alarms by a channel from now on. A webhook's secret is shown once.

    Example: kapok alarm channel add chief --mail chief@example.org --severity critical --after 600
    """
    from fleet.alarms import channels
    from fleet.identity.wrapping import open_wrapper

    if (webhook is None) == (mail is None):
        raise click.UsageError("one of --webhook and --mail")
    chosen = settings()
    if mail is not None and chosen.mail is None:
        raise click.ClickException("kapok.toml has no [mail]: say there which server takes it")
    new = channels.New(
        name, channels.MAIL if webhook is None else channels.WEBHOOK, webhook or mail or "",
        severity, area, after_s, until, lang,
    )  # fmt: skip
    with database(needs=chosen) as db, db.begin() as session:
        secret = channels.add(session, open_wrapper(chosen), new, user_name())
    if as_json:
        say_json({"name": name, **({"secret": secret} if secret else {})})
        return
    if secret:
        click.echo(secret)
        click.echo(f"channel {name}: the secret above is not shown again", err=True)
    else:
        click.echo(f"channel {name} added")


@channel.command("list")
@json_option
@one_line_errors
def list_(as_json: bool) -> None:
    """List channels, and how they stand.

    Example: kapok alarm channel list
    """
    from fleet.alarms import channels

    with database() as db, db.read() as session:
        found = channels.list_(session)
    if as_json:
        say_json([{**each._asdict(), "failing": iso(each.failing_us)} for each in found])
        return
    rows = [
        [
            each.name, each.target, each.severity, each.area, str(each.after_s), str(each.waiting),
            str(each.given_up), f"failing since {iso(each.failing_us)}" if each.failures else "",
        ]
        for each in found
    ]  # fmt: skip
    headings = ["name", "to", "severity", "area", "after s", "waiting", "given up", ""]
    say_table("channels", headings, rows)


@channel.command()
@click.argument("name")
@json_option
@one_line_errors
def test(name: str, as_json: bool) -> None:
    """Send a message at once, past the outbox, and say whether it was taken.

    Example: kapok alarm channel test chief
    """
    from fleet.alarms.delivery import DeliveryError
    from fleet.alarms.messages import trial
    from fleet.alarms.transport import Transport
    from fleet.identity.wrapping import open_wrapper

    chosen = settings()
    transport = Transport.of(chosen, open_wrapper(chosen))
    with database(needs=chosen) as db, db.read() as session:
        message = trial(session, name)
    try:
        transport.deliver([message])
    except DeliveryError as e:
        raise click.ClickException(f"channel {name}: {e}") from None
    answer: dict[str, Any] = {"name": name, "taken": True}
    if as_json:
        say_json(answer)
    else:
        click.echo(f"{message.target} has taken it")


@channel.command()
@click.argument("name")
@json_option
@one_line_errors
def remove(name: str, as_json: bool) -> None:
    """Tell nothing more by a channel; what waits for it is dropped.

    Example: kapok alarm channel remove chief
    """
    from fleet.alarms import channels

    with database() as db, db.begin() as session:
        channels.remove(session, name)
    if as_json:
        say_json({"removed": name})
    else:
        click.echo(f"channel {name} removed")
