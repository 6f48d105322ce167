"""A node leaves its asset, by an act of a technician or for ever: what it alone could have ended
ends with it, and what the rules waited for is waited for no longer.
"""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fleet import texts
from fleet.alarms import acts, operations
from fleet.alarms.kinds import BY_EVENT, UNKNOWN_EVENT
from fleet.alarms.tables import Alarm, WatchState
from fleet.registry import installations
from fleet.registry.acts import Act
from fleet.registry.installations import Taken
from fleet.registry.operations import show_node

_OF_EVENTS = frozenset([*BY_EVENT.values(), UNKNOWN_EVENT])


def take_in(session: Session, act: Act) -> Taken:
    """`installations.take_in`, and the alarms of each place that a node left end."""
    taken = installations.take_in(session, act)
    for node_id, asset_id in taken.left:
        left(session, node_id, asset_id)
    return taken


def gone(session: Session, node_id: str) -> None:
    """A node is revoked: nobody hears it any more, wherever it hangs."""
    asset_id = show_node(session, node_id).asset_id
    if asset_id is not None:
        left(session, node_id, asset_id)


def left(session: Session, node_id: str, asset_id: int) -> None:
    """End what the node's events raised and what rules raised of the asset; the fleet's own
    alarms of the node, such as of a clone, stay.
    """
    session.flush()
    session.execute(delete(WatchState).where(WatchState.asset_id == asset_id))
    mine = (Alarm.node_id == node_id) | (Alarm.asset_id == asset_id)
    for alarm in list(session.scalars(select(Alarm).where(Alarm.open_key.is_not(None), mine))):
        by_rule = "." in alarm.kind and alarm.asset_id == asset_id
        by_event = alarm.kind in _OF_EVENTS and alarm.node_id == node_id
        if by_rule or by_event:
            why = texts.say("act.left", texts.language(), {"node": node_id})
            acts.note(session, [alarm.id], "comment", text=why)
            operations.clear_by_id(session, alarm.id, operations.FLEET)
