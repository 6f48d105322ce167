"""Many boards at once: a thread and an esptool process each; a bad one stops no other."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from fleet.flashing.esptool_run import Stop
from fleet.flashing.flash_board import FAILED, Order, Progress, Result, flash_board
from fleet.flashing.ports import Port

MOST = 32  # boards at once
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _one(port: Port, order: Order, stop: Stop, tell: Callable[[Progress], None]) -> Result:
    try:
        return flash_board(port, order, stop, tell)
    except Exception as e:  # a fault of ours must not take the other boards along
        return Result(port.name, FAILED, error=f"{port.name}: internal error: {e!r}")


@contextmanager
def ended_by_signals(stop: Stop) -> Iterator[None]:
    """The signals of ENDS call `stop` meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop.all()) for number in ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def flash_many(
    ports: list[Port],
    order: Order,
    *,
    stop: Stop,
    on_progress: Callable[[Progress], None],
    on_result: Callable[[Result], None],
) -> list[Result]:
    """Flash every port; the results in the order of the ports.

    The callbacks are called one at a time, from the boards' threads. Ctrl-C, SIGTERM and a closed
    terminal end every board at once; their results and their marks say so.
    """
    lock = threading.Lock()

    def tell(progress: Progress) -> None:
        with lock:
            on_progress(progress)

    def work(port: Port) -> Result:
        result = _one(port, order, stop, tell)
        with lock:
            on_result(result)
        return result

    workers = min(len(ports), MOST, 8 * (os.cpu_count() or 1))
    with ended_by_signals(stop), ThreadPoolExecutor(max_workers=workers) as pool:
        return list(pool.map(work, ports))
