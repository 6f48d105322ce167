"""What stations say, protocol by protocol, and what is answered: bytes in, items and answers out.

Nothing here ever asks, sets or switches anything at the other end: it only answers data.
"""

from collections.abc import Callable

from fleet.legacy.channel import Channel, Rules
from fleet.legacy.talk_hj212 import Hj212
from fleet.legacy.talk_sl651 import Sl651

Talk = Hj212 | Sl651
MakeTalk = Callable[[Rules, Channel], Talk]
KINDS: dict[str, MakeTalk] = {"hj212": Hj212, "sl651": Sl651}
