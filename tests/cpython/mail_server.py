"""An SMTP server (RFC 5321, STARTTLS RFC 3207, AUTH PLAIN RFC 4954) that keeps what it takes."""

import base64
import email
import email.policy
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path


class MailServer:
    """`answers` by command replace its own ones, once each: {"DATA": ["451 later"]}."""

    def __init__(
        self, credentials: tuple[Path, Path] | None = None, implicit: bool = False
    ) -> None:
        self._context: ssl.SSLContext | None = None
        if credentials is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*credentials)
        self._implicit = implicit
        self.offers_starttls = credentials is not None and not implicit
        self.password = ""
        self.answers: dict[str, list[str]] = {}
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.said: list[str] = []  # every line of clients, with whether it was under TLS
        self.silent = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.1)
        self.stopping = threading.Event()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.listener.getsockname()[1])

    def run(self) -> None:
        """Until `stopping`: one thread for each client."""
        while not self.stopping.is_set():
            try:
                connection, _ = self.listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self._client, args=(connection,), daemon=True).start()

    def _client(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        try:
            if self._implicit and self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            if self.silent:
                while not self.stopping.wait(0.05):
                    connection.sendall(b"2")
                return
            self._talk(connection, self._implicit)
        except (OSError, ValueError):
            return
        finally:
            connection.close()

    def _talk(self, connection: socket.socket, secure: bool) -> None:
        lines = connection.makefile("rb")
        connection.sendall(b"220 test\r\n")
        while raw := lines.readline():
            line = raw.decode().strip()
            self.said.append(f"{'tls' if secure else 'plain'} {line}")
            verb = line.split(" ")[0].upper()
            if self.answers.get(verb):
                connection.sendall(self.answers[verb].pop(0).encode() + b"\r\n")
                continue
            if verb == "EHLO":
                more = "250-STARTTLS\r\n" if self.offers_starttls and not secure else ""
                connection.sendall(f"250-test\r\n{more}250 AUTH PLAIN\r\n".encode())
            elif verb == "STARTTLS" and self._context is not None:
                connection.sendall(b"220 go\r\n")
                connection = self._context.wrap_socket(connection, server_side=True)
                lines, secure = connection.makefile("rb"), True
            elif verb == "AUTH":
                given = base64.b64decode(line.split(" ")[2]).decode().split("\0")[2]
                good = given == self.password
                connection.sendall(b"235 in\r\n" if good else b"535 wrong password\r\n")
            elif verb == "RCPT":
                self.recipients.append(line)
                connection.sendall(b"250 ok\r\n")
            elif verb == "DATA":
                connection.sendall(b"354 go\r\n")
                self._mail(lines)
                late = self.answers.get("END", [])
                connection.sendall(late.pop(0).encode() + b"\r\n" if late else b"250 taken\r\n")
            elif verb == "QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 ok\r\n")

    def _mail(self, lines: object) -> None:
        text = b""
        while (line := lines.readline()) not in (b".\r\n", b""):  # type: ignore[attr-defined]
            text += line.removeprefix(b".")
        mail = email.message_from_bytes(text, policy=email.policy.default)
        if not self.answers.get("END"):
            self.mails.append(mail)


@contextmanager
def mail_server(
    credentials: tuple[Path, Path] | None = None, implicit: bool = False
) -> Iterator[MailServer]:
    """A server that runs meanwhile."""
    made = MailServer(credentials, implicit)
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.stopping.set()
        thread.join(10)
        made.listener.close()
