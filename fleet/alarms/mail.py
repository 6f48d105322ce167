"""Mail by SMTP. Where the settings say TLS there is TLS, or no mail: a server that does not offer
STARTTLS, or shows another name, gets neither password nor text.
"""

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import NamedTuple

from fleet import texts
from fleet.alarms.delivery import STEP_S, WHOLE_S, DeliveryError, deadline
from fleet.settings import Mail


class Line(NamedTuple):
    """One alarm in a mail, in the language of the channel."""

    severity: str
    event: str
    text: str
    when: str
    number: int


def compose(
    server: Mail, to: str, lang: str, delivery: str, lines: Sequence[Line], now_s: float
) -> EmailMessage:
    """One mail for one or several alarms."""
    mail = EmailMessage()
    mail["From"] = server.sender
    mail["To"] = to
    mail["Date"] = format_datetime(datetime.fromtimestamp(now_s, UTC))
    mail["Message-ID"] = f"<kapok-{delivery}@{server.sender.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
    if len(lines) == 1:
        values = {"severity": lines[0].severity, "text": lines[0].text[:120]}
        mail["Subject"] = texts.say("list.subject", lang, values)
    else:
        mail["Subject"] = texts.say("list.subject-many", lang, {"count": len(lines)})
    blocks = [
        f"[{line.severity}] {line.when}  #{line.number}: {line.event}\n{line.text}\n"
        for line in lines
    ]
    mail.set_content("\n".join(blocks))
    return mail


def send(server: Mail, mail: EmailMessage, whole_s: float = WHOLE_S) -> None:
    """Hand a mail to the server; DeliveryError. It returns once the server has taken it."""
    session: smtplib.SMTP | None = None
    sock: socket.socket | None = None
    try:
        context = ssl.create_default_context(cafile=server.ca_file and str(server.ca_file))
        password = _password(server)
        sock = socket.create_connection((server.host, server.port), STEP_S)
        with deadline(lambda: sock if session is None else session.sock, whole_s):
            if server.security == "tls":
                sock = context.wrap_socket(sock, server_hostname=server.host)
            session = _Smtp(sock, server.host)
            if server.security == "starttls":
                session.starttls(context=context)
            if server.user:
                session.login(server.user, password)
            session.send_message(mail)
        # It is taken: whatever comes now changes nothing.
        with (
            contextlib.suppress(smtplib.SMTPException, OSError, DeliveryError),
            deadline(lambda: session.sock if session else None, STEP_S),
        ):
            session.quit()
    except smtplib.SMTPRecipientsRefused as e:
        code, text = next(iter(e.recipients.values()))
        raise DeliveryError(f"{server.host}: {code} {_text(text)}", code >= 500) from None
    except smtplib.SMTPDataError as e:
        raise DeliveryError(f"{server.host}: {e.smtp_code} {_text(e.smtp_error)}",
                            e.smtp_code >= 500) from None  # fmt: skip
    except smtplib.SMTPResponseException as e:  # also of a login: the settings are wrong
        raise DeliveryError(f"{server.host}: {e.smtp_code} {_text(e.smtp_error)}") from None
    except (smtplib.SMTPException, OSError, ValueError) as e:
        raise DeliveryError(f"{server.host}: {e or type(e).__name__}") from None
    finally:
        for each in (session and session.sock, sock):
            if each is not None:
                each.close()


class _Smtp(smtplib.SMTP):
    """On a connection that is there already, so that its greeting too has a deadline."""

    def __init__(self, sock: socket.socket, host: str) -> None:
        self._given = sock
        super().__init__(host, timeout=STEP_S)

    def _get_socket(self, _host: str, _port: int, _timeout: float) -> socket.socket:
        return self._given


def _password(server: Mail) -> str:
    if server.password_file is None:
        return ""
    return server.password_file.read_text(encoding="utf-8").strip()


def _text(raw: object) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
