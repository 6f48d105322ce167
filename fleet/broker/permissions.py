"""Who may publish and subscribe what: the one list that every broker's configuration comes from.

Topics are `k1/<node id>/up/...` from a node and `k1/<node id>/down/...` to it (MQTT 3.1.1, 4.7).
A voucher has a claim id in place of a node id, and may do nothing but claim.
"""

from enum import StrEnum
from typing import NamedTuple

from fleet.wire import claim, nodeid

SERVICE_CN = "fleet"
OWN = "%u"  # stands for the CN of the client's certificate, as in Mosquitto's patterns
MAX_TOPIC_BYTES = 256
MAX_PACKET_BYTES = 16384  # a report has at most 8,192 bytes


class Action(StrEnum):
    """PUBLISH: send to a topic. SUBSCRIBE: name a filter. RECEIVE: be handed a message."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    RECEIVE = "receive"


class Rule(NamedTuple):
    """One permission: `filter` may be published to (`write`), or subscribed and received."""

    write: bool
    filter: str


NODE_RULES = (Rule(True, f"k1/{OWN}/up/#"), Rule(False, f"k1/{OWN}/down/#"))
CLAIM_RULES = (Rule(True, f"k1/{OWN}/up/claim"), Rule(False, f"k1/{OWN}/down/#"))
SERVICE_RULES = (Rule(True, "k1/+/down/#"), Rule(False, "k1/+/up/#"))


def rules_of(cn: str) -> tuple[Rule, ...]:
    """The rules of a certificate's CN with the CN filled in; none for an unknown kind of CN."""
    if cn == SERVICE_CN:
        return SERVICE_RULES
    rules = NODE_RULES
    if claim.is_id(cn):
        rules = CLAIM_RULES
    else:
        try:
            nodeid.to_mac(cn)
        except nodeid.NodeIdError:
            return ()
    return tuple(Rule(rule.write, rule.filter.replace(OWN, cn)) for rule in rules)


def allowed(cn: str, action: Action | str, topic: str) -> bool:
    """Whether the client with this CN may do this; whatever no rule allows is refused.

    `topic` is a filter for SUBSCRIBE, where all that it matches must be allowed, and a topic
    name without wildcards otherwise. Total: any three strings give True or False.
    """
    if not _well_formed(topic):
        return False
    if action == Action.SUBSCRIBE:
        return _valid_filter(topic) and any(
            _covers(rule.filter, topic) for rule in rules_of(cn) if not rule.write
        )
    if "+" in topic or "#" in topic or action not in (Action.PUBLISH, Action.RECEIVE):
        return False
    write = action == Action.PUBLISH
    return any(_covers(rule.filter, topic) for rule in rules_of(cn) if rule.write == write)


def _well_formed(topic: str) -> bool:
    # 1.5.3 of the standard lets a server refuse control characters and non-characters.
    if not topic or not topic.isprintable():
        return False
    try:
        return len(topic.encode()) <= MAX_TOPIC_BYTES
    except UnicodeEncodeError:  # lone surrogates
        return False


def _valid_filter(topic: str) -> bool:
    levels = topic.split("/")
    if any("#" in level and level != "#" for level in levels) or "#" in levels[:-1]:
        return False
    return not any("+" in level and level != "+" for level in levels)


def _covers(rule: str, topic: str) -> bool:
    """Whether every topic name that `topic` (name or filter) matches is matched by `rule`."""
    wide, narrow = rule.split("/"), topic.split("/")
    for i, level in enumerate(wide):
        if level == "#":
            return True
        if i >= len(narrow) or narrow[i] == "#":
            return False
        if level not in ("+", narrow[i]):
            return False
    return len(wide) == len(narrow)
