"""What the ways to people have in common: how they fail, and that they do not take for ever."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from fleet.errors import Refusal

STEP_S = 10.0  # for each answer of the other side
WHOLE_S = 30.0  # for all of it: one that sends a byte now and then would hold us for hours


class DeliveryError(Refusal):
    """It was not taken; the text is one line. `is_lasting`: the same again would not be either."""

    def __init__(self, text: str, is_lasting: bool = False) -> None:
        super().__init__(" ".join(text.split())[:200])
        self.is_lasting = is_lasting


@contextlib.contextmanager
def deadline(sock: Callable[[], socket.socket | None], seconds: float = WHOLE_S) -> Iterator[None]:
    """After `seconds` the socket is closed, whatever waits for it; then DeliveryError, even where
    the end of the connection looked like the end of an answer.
    """
    over = threading.Event()

    def end() -> None:
        over.set()
        found = sock()
        if found is not None:
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if over.is_set():
            raise DeliveryError("no answer in time")
