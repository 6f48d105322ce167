"""A webhook's receiver: a real HTTP or HTTPS server that answers as it is told."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple


class Post(NamedTuple):
    """What came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class HookServer:
    """`answers`: status codes of the next answers, then 200 for ever. `before` is called with each
    POST before it is answered; a status of 0 closes the connection without an answer."""

    def __init__(self, credentials: tuple[Path, Path] | None = None) -> None:
        self.posts: list[Post] = []
        self.answers: list[int] = []
        self.location = ""
        self.before: Callable[[Post], None] = lambda _post: None
        self.arrived = threading.Condition()
        self.slowly = threading.Event()  # set: an answer that never ends
        self.stopping = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                post = Post(self.path, dict(self.headers), self.rfile.read(length))
                with outer.arrived:
                    outer.posts.append(post)
                    outer.before(post)
                    outer.arrived.notify_all()
                status = outer.answers.pop(0) if outer.answers else 200
                if outer.slowly.is_set():
                    self._drip()
                elif status:
                    self.send_response(status)
                    if outer.location:
                        self.send_header("Location", outer.location)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                self.close_connection = True

            def _drip(self) -> None:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while not outer.stopping.wait(0.05):
                    try:
                        self.wfile.write(b"X: y\r\n"[:1])
                        self.wfile.flush()
                    except OSError:
                        return

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.scheme = "http"
        if credentials is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*credentials)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"

    def wait_for(self, count: int, seconds: float = 60) -> None:
        """Until so many have come; AssertionError when they do not."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.posts) >= count, seconds)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.scheme}://localhost:{self.server.server_address[1]}/alarms?of=kapok"


@contextmanager
def hook_server(credentials: tuple[Path, Path] | None = None) -> Iterator[HookServer]:
    """A receiver that runs meanwhile."""
    made = HookServer(credentials)
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.stopping.set()
        made.server.shutdown()
        made.server.server_close()
        thread.join(10)
