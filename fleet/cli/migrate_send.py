"""`kapok migrate send`: a plug-in's steps go to a terminal that needs no visit."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import rich_click as click

from fleet.cli import migrate_office
from fleet.cli.common import data_folder, json_option, one_line_errors, say_json
from fleet.cli.migrate_office import person_option

if TYPE_CHECKING:
    from fleet.migration.desk import Office
    from fleet.migration.sending import Done, Job, Post


@click.command()
@click.argument("name")
@click.option("--terminal", required=True, help="The utility's number of the terminal.")
@click.option("--apn", default="", help="Of the new network.")
@click.option("--host", default="", help="Where it is to report, if its plug-in wants that.")
@click.option("--port", default="", help="With --host.")
@click.option(
    "--password", default="", envvar="KAPOK_TERMINAL_PASSWORD",
    help="Of the terminal, if its plug-in wants that; better by the variable: a command's words "
    "are seen by all who are on this machine.",
)  # fmt: skip
@click.option("--back", is_flag=True, help="Send what takes it back.")
@click.option("--modem", default="", metavar="PORT", help="A GSM modem, for what goes by SMS.")
@click.option(
    "--wait", "wait_s", type=click.IntRange(1, 86400), default=300, show_default=True,
    help="Seconds for each step to be sent and answered.",
)  # fmt: skip
@person_option
@json_option
@one_line_errors
def send(
    name: str, terminal: str, apn: str, host: str, port: str, password: str, back: bool,
    modem: str, wait_s: int, person: str, as_json: bool,
) -> None:  # fmt: skip
    """Tell a terminal to change its network itself: the steps of its plug-in, each when the one
    before it was answered as expected.

    They go by SMS, with --modem, or by the connection that the terminal has to kapok legacy serve.
    Its item must be ready, a configuration, and what is sent and answered is put on record. Run
    again, it begins with the first step: to set the same once more does no harm. Exit code 1 where
    a step was not answered as expected; the rest is not sent then.

    Example: kapok migrate send gas-tianhe --terminal T03 --apn cmnbiot
    """
    from fleet.migration import sending

    by = migrate_office.who(person)
    values = {"apn": apn, "host": host, "port": port, "password": password}
    way = sending.BACK if back else sending.TO
    with migrate_office.office() as office:
        with office.database.read() as session:
            job = sending.job(session, name, terminal, way, values, data_folder())

        def tell(done: "Done") -> None:
            if not as_json:
                click.echo(f"{done.by}: {done.send}  -> {done.answer or 'no answer'}")

        with _post(office, job, by, modem, wait_s) as post:
            done = asyncio.run(sending.carry_out(office, job, by, values, post, tell))
    good, said = all(one.good for one in done), sending.outcome(job, done)
    if as_json:
        steps = [one._asdict() for one in done]
        say_json({"terminal": terminal, "item": job.item_id, "way": way, "good": good,
                  "steps": steps, "next": said})  # fmt: skip
    if not good:
        raise click.ClickException(said)
    if not as_json:
        click.echo(f"{len(done)} of {len(job.steps)} steps answered as expected; next: {said}")


@contextlib.contextmanager
def _post(office: "Office", job: "Job", person: str, modem: str, wait_s: int) -> Iterator["Post"]:
    """By what a job's plug-in says."""
    from fleet.migration import plugins, sms
    from fleet.migration.by_connection import ByConnection
    from fleet.migration.by_sms import BySms
    from fleet.migration.errors import MigrationError

    if job.steps[0].by == plugins.CONNECTION:
        if modem:
            raise MigrationError(
                f"the plug-in of {job.terminal} sends by its connection: no --modem"
            )
        yield ByConnection(office.database, job.terminal_id, person, wait_s)
        return
    if not modem:
        raise MigrationError(f"the plug-in of {job.terminal} sends by SMS: --modem PORT")
    if not job.number:
        raise MigrationError(
            f"terminal {job.terminal} has no number of its card: column msisdn of the inventory"
        )
    with sms.opened(modem) as port:
        made = sms.Modem(port)
        made.begin(wait_s)
        yield BySms(made, job.number, wait_s)
