"""Many boards at once: a thread and an esptool process each; a bad one stops no other."""

import os
import resource
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from fleet.flashing.esptool_run import Stop
from fleet.flashing.flash_board import FAILED, Order, Progress, Result, flash_board
from fleet.flashing.ports import Port

MOST = 32  # boards at once
LOOK = 0.2  # seconds between two looks at whether the user wants to end


def _one(port: Port, order: Order, stop: Stop, tell: Callable[[Progress], None]) -> Result:
    try:
        return flash_board(port, order, stop, tell)
    except Exception as e:  # a fault of ours must not take the other boards along
        return Result(port.name, FAILED, error=f"{port.name}: internal error: {e!r}")


def flash_many(
    ports: list[Port],
    order: Order,
    *,
    stop: Stop,
    on_progress: Callable[[Progress], None],
    on_result: Callable[[Result], None],
) -> list[Result]:
    """Flash every port; the results in the order of the ports.

    The callbacks are called one at a time, from the boards' threads. KeyboardInterrupt ends every
    board at its next safe point; their results say so.
    """
    lock = threading.Lock()

    def tell(progress: Progress) -> None:
        with lock:
            on_progress(progress)

    def done(future: Future[Result]) -> None:
        with lock:
            on_result(future.result())

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    workers = min(len(ports), MOST, 8 * (os.cpu_count() or 1))
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(_one, port, order, stop, tell) for port in ports]
        for future in futures:
            future.add_done_callback(done)
        waiting = set(futures)
        while waiting:
            try:
                waiting = wait(waiting, timeout=LOOK).not_done
            except KeyboardInterrupt:
                stop.all()
    return [future.result() for future in futures]
