"""`kapok node sim`: modem and SIM of a node."""

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json


@click.command()
@click.argument("node_id")
@click.option("--imei", default="", help="The modem's number, 15 digits.")
@click.option("--iccid", default="", help="The SIM's number, 19 or 20 digits.")
@click.option("--as-read", is_flag=True, help="A modem said so: check digits need not fit.")
@click.option("--forget", is_flag=True, help="Both are no longer in this node.")
@json_option
@one_line_errors
def sim(node_id: str, imei: str, iccid: str, as_read: bool, forget: bool, as_json: bool) -> None:
    """Say, or show, which modem and which SIM are in a node.

    A number that another node has is refused: forget it there first.

    Example: kapok node sim 1gntj14d2p --imei 867997041234567 --iccid 89860412345678901234
    """
    from fleet.registry import labels, sims

    if forget and (imei or iccid):
        raise click.UsageError("--forget takes no numbers")
    if imei and not as_read:
        labels.check_imei(imei)
    if iccid and not as_read:
        labels.check_iccid(iccid)
    with database() as db:
        if imei or iccid:
            with db.begin() as session:
                has = sims.set_sim(session, node_id, imei, iccid)
        elif forget:
            with db.begin() as session:
                sims.forget_sim(session, node_id)
                has = ("", "")
        else:
            with db.read() as session:
                has = sims.sim_of(session, node_id)
    if as_json:
        say_json({"id": node_id, "imei": has[0], "iccid": has[1]})
    else:
        click.echo(f"node {node_id} IMEI {has[0] or 'unknown'} ICCID {has[1] or 'unknown'}")
