"""Plugins for the unmended broker: the best that amqtt's documented hooks can do."""

from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from fleet.broker.peer import UnknownPeer, peer_of
from fleet.broker.permissions import allowed


class CnIsClientId(BaseAuthPlugin):
    """A client is let in when its client id is the CN of its certificate."""

    async def authenticate(self, *, session: Session) -> bool | None:
        """Whether the session's certificate and client id agree."""
        try:
            return peer_of(session.ssl_object).cn == session.client_id
        except UnknownPeer:
            return False


class Topics(BaseTopicPlugin):
    """The same permissions as the mended broker has."""

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool | None:
        """Whether the session's certificate may do this."""
        try:
            peer = peer_of(session.ssl_object if session else None)
        except UnknownPeer:
            return False
        return allowed(peer.cn, str(action), topic or "")
