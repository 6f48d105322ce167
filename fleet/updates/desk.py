"""Blocks by MQTT: requests are queued by the subscriber's thread, and answered in one of its own.

Nothing is kept for anybody: QoS 0 both ways, and a node asks again for what did not come.
"""

import queue
import threading
from collections import Counter
from collections.abc import Callable

import structlog

from fleet.updates import requests
from fleet.updates.blocks import Blocks
from fleet.updates.streams import NotServedError

QUEUE = 1_000  # requests; what is over is dropped, and asked for again
OF_NODE = 4  # of them of one node: it asks one at a time, and may have repeated it

log = structlog.get_logger("updates")

Say = Callable[[str, bytes], None]
"""Publish a payload for a node; from any thread."""


class BlockDesk:
    """Between the broker and the streams. `heard` from any thread."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._queue: queue.Queue[tuple[str, bytes]] = queue.Queue(QUEUE)
        self._waiting: Counter[str] = Counter()  # of each node
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._say: Say = lambda _node, _payload: None
        self._worker = threading.Thread(target=self._work, name="blocks", daemon=True)

    def start(self, say: Say) -> None:
        """Answer from now on, by `say`."""
        self._say = say
        self._worker.start()

    def stop(self) -> None:
        """Finish the request at hand."""
        self._stopping.set()
        if self._worker.is_alive():
            self._worker.join(10)

    def heard(self, node_id: str, payload: bytes) -> None:
        """A node asks for blocks; never waits."""
        with self._lock:
            if self._waiting[node_id] >= OF_NODE or self._queue.full():
                self._blocks.counts["dropped"] += 1
                return
            self._waiting[node_id] += 1
        self._queue.put((node_id, payload))  # nobody else puts, so that there is room

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                node_id, payload = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            with self._lock:
                self._waiting[node_id] -= 1
                if not self._waiting[node_id]:
                    del self._waiting[node_id]
            try:
                self.answer(node_id, payload)
            except Exception as e:  # whatever it is, the next node must be answered
                log.error("a request for blocks failed", node=node_id, reason=repr(e)[:300])

    def answer(self, node_id: str, payload: bytes) -> None:
        """Say all blocks of one request, or once why there are none."""
        try:
            wanted = requests.decode(payload)
        except requests.RequestError:
            self._blocks.counts["malformed"] += 1
            return
        for index in wanted.indices:
            if self._stopping.is_set():
                return
            try:
                piece = self._blocks.read(node_id, wanted.number, index * wanted.size, wanted.size)
            except NotServedError as e:
                self._say(node_id, requests.encode(wanted.number, index, e.code))
                return
            if not piece.data:
                return  # behind the end, and so are all that follow
            self._say(node_id, requests.encode(wanted.number, index, piece.data))
