"""Mail by SMTP. Where the settings say TLS there is TLS, or no mail: a server that does not offer
STARTTLS, or shows another name, gets neither password nor text.
"""

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime
from datetime import UTC, datetime
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
    try:
        context = ssl.create_default_context(cafile=server.ca_file and str(server.ca_file))
        password = _password(server)
        with _connect(server, context) as session, deadline(lambda: session.sock, whole_s):
            if server.security == "starttls":
                session.starttls(context=context)
            if server.user:
                session.login(server.user, password)
            session.send_message(mail)
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


def _connect(server: Mail, context: ssl.SSLContext) -> smtplib.SMTP:
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=STEP_S, context=context)
    return smtplib.SMTP(server.host, server.port, timeout=STEP_S)


def _password(server: Mail) -> str:
    if server.password_file is None:
        return ""
    return server.password_file.read_text(encoding="utf-8").strip()


def _text(raw: object) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
