"""Attacks on the way of alarms to people: forged, replayed, read on the way, held up, injected."""

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from delivery_rig import DOOR, DeliveryRig
from hook_server import Post, hook_server
from mail_server import MailServer, mail_server

from fleet.alarms import delivery, mail, webhook
from fleet.alarms.delivery import DeliveryError
from fleet.settings import Mail, SettingsError, is_address, load
from tests.support.pki import Pki

SECRET = bytes(range(32))
BODY = b'{"event": "raised"}'


@pytest.fixture
def pki() -> Pki:
    return Pki()


@pytest.fixture
def ca(tmp_path: Path, pki: Pki) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(pki.root.public_bytes(Encoding.PEM))
    return path


def manual() -> Any:
    """The check that docs/operations.md gives to receivers."""
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    (code,) = [part for part in page.split("```") if "def is_ours" in part]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # what readers copy must work
    return names["is_ours"]


def accepted(post: Post, secret: bytes, now: int, seen: set[str]) -> bool:
    """A receiver as docs/operations.md describes it."""
    delivery_ = post.headers["Kapok-Delivery"]
    if not manual()(secret, post.headers["Kapok-Signature"], delivery_, post.body, now):
        return False
    fresh = delivery_ not in seen
    seen.add(delivery_)
    return fresh


@pytest.fixture
def post(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Post, bytes]:
    """One that the fleet sent, and the secret."""
    with hook_server() as hook:
        rig = DeliveryRig(tmp_path, monkeypatch)
        rig.channel("duty", hook.url)
        rig.event(DOOR)
        rig.go()
        return hook.posts[0], rig.secrets["duty"]


def test_attack_a_forged_or_replayed_webhook_is_told_from_a_true_one(
    post: tuple[Post, bytes],
) -> None:
    true, secret = post
    now, seen = int(time.time()), set[str]()
    assert accepted(true, secret, now, seen)
    assert not accepted(true, secret, now, seen), "the same once more"
    assert not accepted(true, secret, now + 301, set()), "much later"
    forged = true.body.replace(b"raised", b"cleared")
    assert forged != true.body
    assert not accepted(true._replace(body=forged), secret, now, set())
    assert not accepted(true, bytes(32), now, set())
    other = {**true.headers, "Kapok-Delivery": "9-9"}
    assert not accepted(true._replace(headers=other), secret, now, set())
    later = true.headers["Kapok-Signature"].replace("t=", "t=1")
    assert not accepted(
        true._replace(headers={**true.headers, "Kapok-Signature": later}), secret, now, set()
    )


def test_attack_the_receiver_leads_elsewhere(tmp_path: Path) -> None:
    """A redirection would carry what is signed for one to another."""
    with hook_server() as hook, hook_server() as thief:
        hook.answers, hook.location = [302, 307, 308], thief.url
        for _ in range(3):
            with pytest.raises(DeliveryError, match="answered 30") as caught:
                webhook.post(hook.url, SECRET, "1-1", BODY, 0, None)
            assert caught.value.is_lasting
        assert thief.posts == []


@pytest.mark.parametrize("whom", ["stranger", "another-name", "expired", "plain"])
def test_attack_another_server_in_the_receivers_place(
    tmp_path: Path, pki: Pki, ca: Path, whom: str
) -> None:
    issuer = Pki() if whom == "stranger" else pki
    leaf = issuer.leaf(
        "server", dns="evil.example" if whom == "another-name" else "localhost",
        days=-1 if whom == "expired" else 1,
    )  # fmt: skip
    with hook_server(None if whom == "plain" else leaf.write(tmp_path, "server")) as hook:
        url = hook.url.replace("http:", "https:")
        with pytest.raises(DeliveryError):
            webhook.post(url, SECRET, "1-1", BODY, 0, ca)
        assert hook.posts == []


def test_attack_a_receiver_that_never_ends_its_answer() -> None:
    with hook_server() as hook:
        hook.slowly.set()
        began = time.monotonic()
        with pytest.raises(DeliveryError):
            webhook.post(hook.url, SECRET, "1-1", BODY, 0, None, whole_s=0.5)
        assert time.monotonic() - began < 30


def test_sabotage_without_the_deadline_it_holds_the_channel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A byte each 50 ms keeps every single step in time: only the whole has an end."""
    import threading

    from fleet.alarms.delivery import STEP_S

    assert STEP_S > 1
    with hook_server() as hook:
        hook.slowly.set()
        ended = threading.Event()

        def post() -> None:
            try:
                webhook.post(hook.url, SECRET, "1-1", BODY, 0, None, whole_s=1e6)
            except DeliveryError:
                ended.set()

        thread = threading.Thread(target=post, daemon=True)
        thread.start()
        assert not ended.wait(1.5)
    thread.join(10)


def server(smtp: MailServer, folder: Path, ca: Path | None, **changes: object) -> Mail:
    (folder / "password").write_text("secret")
    values = {
        "host": "localhost", "port": smtp.port, "security": "starttls",
        "sender": "kapok@example.org", "user": "kapok", "password_file": folder / "password",
        "ca_file": ca,
    }  # fmt: skip
    return Mail(**{**values, **changes})  # type: ignore[arg-type]


def composed(to: Mail, subject: str = "a door") -> object:
    return mail.compose(
        to, "duty@example.org", "en", "1-1", [mail.Line("warning", "new", subject, "now", 1)], 0
    )


@pytest.fixture
def smtp(tmp_path: Path, pki: Pki) -> Iterator[MailServer]:
    with mail_server(pki.leaf("s", dns="localhost").write(tmp_path, "mail"), False) as made:
        made.password = "secret"
        yield made


def test_attack_starttls_stripped_on_the_way(tmp_path: Path, smtp: MailServer, ca: Path) -> None:
    """Who sits in between takes the word STARTTLS out: neither password nor text goes in clear."""
    smtp.offers_starttls = False
    to = server(smtp, tmp_path, ca)
    with pytest.raises(DeliveryError, match="STARTTLS"):
        mail.send(to, composed(to))  # type: ignore[arg-type]
    assert not [line for line in smtp.said if "AUTH" in line or "MAIL" in line]
    assert smtp.mails == []


@pytest.mark.parametrize("whom", ["stranger", "another-name"])
def test_attack_another_mail_server_gets_no_password(
    tmp_path: Path, smtp: MailServer, pki: Pki, ca: Path, whom: str
) -> None:
    leaf = (Pki() if whom == "stranger" else pki).leaf("s", dns="evil.example")
    with mail_server(leaf.write(tmp_path, "evil"), False) as evil:
        to = server(evil, tmp_path, ca)
        with pytest.raises(DeliveryError, match="certificate"):
            mail.send(to, composed(to))  # type: ignore[arg-type]
        assert not [line for line in evil.said if "AUTH" in line]


def test_attack_a_mail_server_that_never_ends_its_greeting(
    tmp_path: Path, smtp: MailServer, ca: Path
) -> None:
    smtp.silent = True
    to = server(smtp, tmp_path, ca)
    began = time.monotonic()
    with pytest.raises(DeliveryError):
        mail.send(to, composed(to), whole_s=0.5)  # type: ignore[arg-type]
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("text", ["x\r\nBcc: all@example.org", "x\nTo: a@b.cd", "x\r\n\r\nBody"])
def test_attack_a_name_with_line_ends_adds_no_header(
    tmp_path: Path, smtp: MailServer, ca: Path, text: str
) -> None:
    to = server(smtp, tmp_path, ca)
    with pytest.raises(ValueError, match=r"(?i)header|linefeed|newline"):
        composed(to, text)
    mail.send(to, composed(to, " ".join(text.split())))  # type: ignore[arg-type]
    assert [line.lower() for line in smtp.recipients] == ["rcpt to:<duty@example.org>"]


@pytest.mark.parametrize(
    "address",
    ["a@b.cd\r\nRCPT TO:<x@y.z>", "a@b.cd,x@y.zz", "<a@b.cd>", "a b@c.de", '"a"@b.cd', "a@b..cd",
     "ä@b.cd", "@b.cd", "a@", "a@-b"],
)  # fmt: skip
def test_attack_an_address_that_is_more_than_one(address: str) -> None:
    assert not is_address(address)


@pytest.mark.parametrize(
    ("lines", "says"),
    [('security = "none"\nuser = "k"\npassword_file = "p"', "would show the password"),
     ('security = "ssl3"', "one of starttls, tls, none"), ('user = "k"', "go together"),
     ('sender = "x"', "no mail address"), ('color = "red"', "no such key")],
)  # fmt: skip
def test_settings_that_would_leak_are_refused(tmp_path: Path, lines: str, says: str) -> None:
    sender = "" if "sender" in lines else 'sender = "kapok@example.org"\n'
    (tmp_path / "kapok.toml").write_text(f'[mail]\nhost = "localhost"\n{sender}{lines}\n')
    with pytest.raises(SettingsError, match=says):
        load(tmp_path)


def test_attack_canary_no_secret_in_what_is_said_of_a_failure(
    tmp_path: Path, smtp: MailServer, ca: Path
) -> None:
    smtp.password = "another"
    to = server(smtp, tmp_path, ca)
    with pytest.raises(DeliveryError) as caught:
        mail.send(to, composed(to))  # type: ignore[arg-type]
    assert "535" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_context_is_one_that_checks(ca: Path) -> None:
    context = ssl.create_default_context(cafile=str(ca))
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert delivery.WHOLE_S >= delivery.STEP_S
