"""Alarms by HTTPS and by SMTP with STARTTLS, to real servers; and through kill -9."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alarm_rig import AlarmRig
from delivery_rig import DOOR, KEY, LEAK, DeliveryRig
from fleet_here import FleetHere
from hook_server import Post, hook_server
from mail_server import MailServer, mail_server

from fleet.alarms import sender
from fleet.alarms.marking import mark_sent
from fleet.alarms.operations import raise_alarm
from fleet.db.base import Database
from fleet.settings import Mail, load
from tests.support.pki import Pki

ROOT = Path(__file__).parents[2]
MESSAGES = 12


@pytest.fixture
def pki() -> Pki:
    return Pki()


@pytest.fixture
def ca(tmp_path: Path, pki: Pki) -> Path:
    from cryptography.hazmat.primitives.serialization import Encoding

    path = tmp_path / "ca.pem"
    path.write_bytes(pki.root.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def credentials(tmp_path: Path, pki: Pki) -> tuple[Path, Path]:
    return pki.leaf("server", dns="localhost").write(tmp_path, "server")


@pytest.fixture
def smtp(credentials: tuple[Path, Path]) -> Iterator[MailServer]:
    with mail_server(credentials, False) as made:
        made.password = "secret"
        yield made


def settings(smtp: MailServer, folder: Path, ca: Path, **changes: object) -> Mail:
    password = folder / "password"
    password.write_text("secret\n")
    values = {
        "host": "localhost", "port": smtp.port, "security": "starttls",
        "sender": "kapok@example.org", "user": "kapok", "password_file": password, "ca_file": ca,
    }  # fmt: skip
    return Mail(**{**values, **changes})  # type: ignore[arg-type]


def test_a_webhook_by_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ca: Path, credentials: tuple[Path, Path]
) -> None:
    with hook_server(credentials) as hook:
        rig = DeliveryRig(tmp_path, monkeypatch, ca=ca)
        rig.channel("duty", hook.url)
        rig.event(DOOR)
        rig.go()
        (post,) = hook.posts
        assert post.path == "/alarms?of=kapok"
        assert post.document["alarm"]["kind"] == "door"
    assert rig.outbox() == [("duty", "raised", "sent")]


def test_a_mail_by_starttls_with_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smtp: MailServer, ca: Path
) -> None:
    rig = DeliveryRig(tmp_path, monkeypatch, settings(smtp, tmp_path, ca))
    rig.channel("duty", "duty@example.org", lang="en")
    rig.event(DOOR)
    rig.go()
    (mail,) = smtp.mails
    assert mail["To"] == "duty@example.org"
    assert mail["Subject"].startswith("Kapok: warning: The door at lamppost")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "[warning]" in mail.get_content()
    assert [line for line in smtp.said if "AUTH" in line or "MAIL" in line]
    assert all(line.startswith("tls") for line in smtp.said if "AUTH" in line or "MAIL" in line)


def test_a_mail_in_chinese_tells_many_alarms_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smtp: MailServer, ca: Path
) -> None:
    rig = DeliveryRig(tmp_path, monkeypatch, settings(smtp, tmp_path, ca))
    rig.channel("duty", "duty@example.org")
    for node in rig.nodes("gas-meter", 70):
        rig.event(LEAK, node=node)
    rig.go()
    assert [mail["Subject"] for mail in smtp.mails] == [
        "木棉平台：50 条告警", "木棉平台：20 条告警",
    ]  # fmt: skip
    assert smtp.mails[0].get_content().count("疑似燃气泄漏") == 50
    assert {state for *_, state in rig.outbox()} == {"sent"}


def test_a_mail_by_tls_from_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, credentials: tuple[Path, Path], ca: Path
) -> None:
    with mail_server(credentials, True) as smtp:
        smtp.password = "secret"
        rig = DeliveryRig(tmp_path, monkeypatch, settings(smtp, tmp_path, ca, security="tls"))
        rig.channel("duty", "duty@example.org")
        rig.event(DOOR)
        rig.go()
        assert len(smtp.mails) == 1


@pytest.mark.parametrize(
    ("verb", "answer"),
    [("MAIL", "451 greylisted"), ("RCPT", "450 mailbox busy"), ("END", "452 full"),
     ("AUTH", "454 later"), ("DATA", "421 shutting down"), ("RCPT", "550 no such user")],
)  # fmt: skip
def test_a_mail_that_is_not_taken_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smtp: MailServer, ca: Path, verb: str,
    answer: str,
) -> None:  # fmt: skip
    smtp.answers = {verb: [answer]}
    rig = DeliveryRig(tmp_path, monkeypatch, settings(smtp, tmp_path, ca))
    rig.channel("duty", "duty@example.org")
    rig.event(DOOR)
    rig.go()
    assert (smtp.mails, rig.outbox("queued")) == ([], [("duty", "raised", "queued")])
    rig.later(30)
    assert len(smtp.mails) == 1
    assert rig.outbox() == [("duty", "raised", "sent")]


def test_without_a_server_in_the_settings_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = DeliveryRig(tmp_path, monkeypatch)
    rig.channel("duty", "duty@example.org")
    rig.event(DOOR)
    rig.go()
    assert rig.outbox() == [("duty", "raised", "queued")]


class Killed:
    """A sender that is killed at one POST of the receiver, before or after its answer."""

    def __init__(self, rig: AlarmRig, key: Path) -> None:
        self._command = [
            sys.executable, str(ROOT / "tests/cpython/sender_process.py"), str(rig.path), str(key),
        ]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(self._command, env=environment)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def test_kill_9_loses_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the sender dies with a POST that was received and not answered."""
    rig = DeliveryRig(tmp_path, monkeypatch)
    (tmp_path / "wrapping").write_bytes(KEY)
    killed = Killed(rig, tmp_path / "wrapping")
    with hook_server() as hook:

        def before(_post: Post) -> None:
            if len(hook.posts) in (1, 4, 8, 9):
                killed.kill()
                killed.start()

        hook.before = before
        rig.channel("duty", hook.url)
        for node in rig.nodes("gas-meter", MESSAGES):
            rig.event(LEAK, node=node)
        killed.start()
        try:
            hook.wait_for(MESSAGES + 4)
        finally:
            killed.kill()
        rig.go()  # the last one may have been killed before it was marked
        assert rig.outbox("queued") == []
        alarms = {post.document["alarm"]["id"] for post in hook.posts}
        assert alarms == {each.id for each in rig.alarms()}
        deliveries = {post.headers["Kapok-Delivery"] for post in hook.posts}
        assert len(deliveries) == MESSAGES, "what comes again has its number again"


def test_sabotage_marked_before_it_is_sent_it_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the order of sending and marking is for: one that marks first, and dies, loses."""
    rig = DeliveryRig(tmp_path, monkeypatch)
    with hook_server() as hook:
        rig.channel("duty", hook.url)
        rig.event(DOOR)
        with rig.database.begin() as session:
            found = sender._next(session, "duty", 1 << 60)
            mark_sent(session, "duty", sender._sent(found), 1 << 60)
        rig.go()
        assert (hook.posts, rig.outbox()) == ([], [("duty", "raised", "sent")])


async def test_through_kapok_serve_that_is_killed(tmp_path: Path) -> None:
    """The whole fleet: an alarm is raised while it serves, the receiver refuses, the fleet is
    killed and started again, the receiver takes it."""
    options = ("--port", "0", "--broker-port", "0", "--coap-port", "off")
    fleet = FleetHere(tmp_path / "data", *options)
    await fleet.command("init")
    with hook_server() as hook:
        words = ("alarm", "channel", "add", "duty", "--webhook", hook.url, "--json")
        added = json.loads(await fleet.command(*words))
        assert len(added["secret"]) == 64
        hook.answers = [500] * 50
        await fleet.start()
        url = load(tmp_path / "data").database_url
        with closing(Database(url)) as database, database.begin() as session:
            raise_alarm(session, "rotation", "1gntj14d2p", {"node": "1gntj14d2p"})
        await asyncio.to_thread(hook.wait_for, 1)
        await fleet.kill()
        hook.answers = []
        await fleet.start()
        await asyncio.to_thread(hook.wait_for, 2)
        assert await fleet.stop() == 0
        assert len({post.headers["Kapok-Delivery"] for post in hook.posts}) == 1
