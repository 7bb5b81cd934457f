"""E-mail against a real SMTP server: TLS as configured, faults told apart, headers that cannot be broken."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

import pytest
import trustme

from hxp_enterprise_llm.config.delivery import EmailConfig
from hxp_enterprise_llm.event.notifications.channels.email import BLOCKED_SECONDS, EmailChannel
from hxp_enterprise_llm.event.notifications.channels.mail import compose
from hxp_enterprise_llm.event.notifications.channels.model import ChannelFault, Dead, Retry
from hxp_enterprise_llm.event.notifications.model import Alert
from tests.unit.notifications.servers import MailServer, raw_server, silent
from tests.unit.notifications.support import NOW, delivery

TO = "ops@example.org"


class Password:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


@pytest.fixture
def authority_file(tmp_path: Path):
    def write(authority: trustme.CA) -> str:
        path = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(path)
        return str(path)

    return write


def channel(server: MailServer, authority_file, *, password: str | None = None, **more) -> EmailChannel:
    settings = {"host": "127.0.0.1", "port": server.port, "ca_file": authority_file(server.authority), "to": [TO]}
    config = EmailConfig(**(settings | {"sender": "hxp@example.net"} | more))
    return EmailChannel(config, Password(password) if password else None)


@pytest.fixture
async def mail_server():
    async with MailServer().running() as server:
        yield server


async def test_a_mail_arrives_over_starttls(mail_server: MailServer, authority_file) -> None:
    sender = channel(mail_server, authority_file)
    assert sender.readiness == (True, "")
    await sender.send(delivery(TO), 5)
    envelope, mail = mail_server.received.get_nowait()
    assert (envelope.mail_from, envelope.rcpt_tos) == ("hxp@example.net", [TO])
    assert mail["Subject"] == "[CRITICAL] critical_alert: firing"
    assert mail["To"] == TO
    assert mail["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert mail["Message-ID"] == "<ep-1.firing.f8f0aca9@example.net>"
    assert mail["References"] == mail["In-Reply-To"] == "<ep-1@example.net>"
    assert (mail["Auto-Submitted"], mail["X-Auto-Response-Suppress"]) == ("auto-generated", "All")
    parts = [part.get_content_type() for part in mail.iter_parts()]
    assert parts == ["text/plain", "text/html"]
    text = mail.get_body(("plain",)).get_content()
    assert text.startswith("error_rate is 0.31\r\n\r\nRule: critical_alert\r\nCondition: error_rate > 0.2\r\n")
    assert "error_rate &gt; 0.2" in mail.get_body(("html",)).get_content()


async def test_a_mail_arrives_over_implicit_tls_and_with_a_log_in(authority_file) -> None:
    async with MailServer(implicit=True, password="s3cret!").running() as server:
        await channel(server, authority_file, tls="implicit", username="u", password="s3cret!").send(delivery(TO), 5)
        assert server.received.qsize() == 1


async def test_a_relay_without_tls_is_used_when_the_configuration_says_so(authority_file) -> None:
    async with MailServer(starttls=False).running() as server:
        await channel(server, authority_file, tls="none").send(delivery(TO), 5)
        assert server.received.qsize() == 1


async def test_without_starttls_nothing_is_sent(authority_file) -> None:
    async with MailServer(starttls=False).running() as server:
        with pytest.raises(Retry) as caught:
            await channel(server, authority_file).send(delivery(TO), 5)
        assert server.received.empty()
    assert caught.value.after == BLOCKED_SECONDS
    assert caught.value.reason == (
        "the mail server does not offer STARTTLS;"
        " a server without it needs tls: implicit, or tls: none for a relay on this host"
    )


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_certificate_that_nobody_vouches_for_is_refused(authority_file, tls: str) -> None:
    async with MailServer(implicit=tls == "implicit").running() as server:
        sender = channel(server, authority_file, tls=tls, ca_file="")
        with pytest.raises(Retry, match=r"no trusted TLS connection: .*certificate") as caught:
            await sender.send(delivery(TO), 5)
        assert server.received.empty()
    assert caught.value.after == BLOCKED_SECONDS


async def test_a_wrong_password_bars_the_channel_and_is_not_shown(authority_file) -> None:
    async with MailServer(password="right").running() as server:
        with pytest.raises(Retry, match="refuses the log-in: 535") as caught:
            await channel(server, authority_file, username="u", password="wr0ng-canary").send(delivery(TO), 5)
    assert caught.value.after == BLOCKED_SECONDS
    assert "canary" not in repr(caught.value)


async def test_a_server_that_wants_a_log_in_bars_the_channel(authority_file) -> None:
    async with MailServer(password="right").running() as server:
        with pytest.raises(Retry, match="refuses the log-in: 530"):
            await channel(server, authority_file).send(delivery(TO), 5)


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
async def test_451_is_tried_again_and_554_is_not(mail_server: MailServer, authority_file, command: str) -> None:
    sender = channel(mail_server, authority_file)
    mail_server.faults[command] = ["451 try later", "554 never"]
    with pytest.raises(Retry, match="the mail server says 451 try later") as caught:
        await sender.send(delivery(TO), 5)
    assert caught.value.after is None
    with pytest.raises(Dead, match="the mail server says 554 never"):
        await sender.send(delivery(TO), 5)
    await sender.send(delivery(TO), 5)
    assert mail_server.received.qsize() == 1


async def test_one_bad_recipient_does_not_stop_the_others(mail_server: MailServer, authority_file) -> None:
    mail_server.refused_recipients["gone@example.org"] = "550 no such user"
    sender = channel(mail_server, authority_file, to=["gone@example.org", TO])
    assert sender.targets == ("gone@example.org", TO)
    results = await asyncio.gather(
        *(sender.send(delivery(target), 5) for target in sender.targets), return_exceptions=True
    )
    assert [str(result) for result in results] == ["the mail server says 550 no such user", "None"]
    assert mail_server.received.get_nowait()[0].rcpt_tos == [TO]


async def test_a_server_that_hangs_is_left(authority_file) -> None:
    async with raw_server(silent) as port:
        sender = EmailChannel(EmailConfig(host="127.0.0.1", port=port, tls="none", to=[TO]))
        with pytest.raises(Retry, match=r"did not answer within 0.1 s|timed out"):
            await sender.send(delivery(TO), 0.1)


async def test_a_server_that_hangs_after_the_mail_is_left_and_the_mail_keeps_its_id(
    mail_server: MailServer, authority_file
) -> None:
    mail_server.hang_before_data_answer = True
    with pytest.raises(Retry):
        await channel(mail_server, authority_file).send(delivery(TO), 0.5)
    mail_server.hang_before_data_answer = False
    await channel(mail_server, authority_file).send(delivery(TO, attempts=2), 5)
    (_, first), (_, second) = mail_server.received.get_nowait(), mail_server.received.get_nowait()
    assert first["Message-ID"] == second["Message-ID"]


async def test_a_server_that_hangs_at_the_farewell_has_taken_the_mail(
    mail_server: MailServer, authority_file, monkeypatch
) -> None:
    monkeypatch.setattr("hxp_enterprise_llm.event.notifications.channels.email._QUIT_SECONDS", 0.05)
    mail_server.hang_at_quit = True
    await channel(mail_server, authority_file).send(delivery(TO), 5)
    assert mail_server.received.qsize() == 1


async def test_a_server_that_is_down_is_tried_again(authority_file) -> None:
    server = MailServer()
    async with server.running():
        sender = channel(server, authority_file)
    with pytest.raises(Retry, match=r"the mail server cannot be reached: Connection refused$"):
        await sender.send(delivery(TO), 5)


async def scolding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"554 go away\r\n")
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        await reader.read()
    writer.close()


async def vanishing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 hello\r\n")
    await reader.readline()
    writer.close()


@pytest.mark.parametrize(("peer", "reason"), [(scolding, "554 go away"), (vanishing, "broke off the connection")])
async def test_a_server_that_will_not_talk_is_tried_again(peer, reason: str) -> None:
    async with raw_server(peer) as port:
        sender = EmailChannel(EmailConfig(host="127.0.0.1", port=port, tls="none", to=[TO]))
        with pytest.raises(Retry, match=reason):
            await sender.send(delivery(TO), 5)


async def test_nothing_that_comes_from_outside_breaks_out_of_a_header(mail_server: MailServer, authority_file) -> None:
    evil = "x\r\nBcc: evil@example.org\u2028\x00\ud800" + "y" * 300
    told = delivery(TO, title=evil, rule=evil, text=f"<b>\r\n.\r\n{evil[:20]}\nü</b>")
    await channel(mail_server, authority_file).send(told, 5)
    envelope, mail = mail_server.received.get_nowait()
    assert envelope.rcpt_tos == [TO]
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("[CRITICAL] x Bcc: evil@example.org yyy")
    assert len(mail["Subject"]) == 200
    assert "&lt;b&gt;" in mail.get_body(("html",)).get_content()
    assert "ü" in mail.get_body(("plain",)).get_content()


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"to": ["a@x, evil@y"]}, "email.to[0]: 'a@x, evil@y' is no e-mail address such as ops@example.org"),
        ({"to": [TO, "nobody"]}, "email.to[1]: 'nobody' is no e-mail address such as ops@example.org"),
        ({"to": [""]}, "email.to[0]: '' is no e-mail address such as ops@example.org"),
        ({"to": ["ü@example.org"]}, "email.to[0]: 'ü@example.org' is no e-mail address such as ops@example.org"),
        ({"to": ["a@x\r\nBcc: b@y"]}, "email.to[0]: 'a@x\\r\\nBcc: b@y' is no e-mail address such as ops@example.org"),
        ({"sender": "A <a@x>"}, "email.from: 'A <a@x>' is no e-mail address such as ops@example.org"),
        ({"ca_file": "/nowhere.pem"}, "email.ca_file: /nowhere.pem cannot be used: No such file or directory"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict, fault: str) -> None:
    with pytest.raises(ChannelFault) as caught:
        EmailChannel(EmailConfig(**settings))
    assert str(caught.value) == f"real_time_notifications.{fault}"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "nobody to write to: name recipients in real_time_notifications.email.to"),
        ({"to": [TO], "host": ""}, "real_time_notifications.email.host is empty"),
        (
            {"to": [TO], "username": "u"},
            "no password for u: set real_time_notifications.email.password_file or the credential smtp-password",
        ),
    ],
)
def test_a_channel_that_is_not_set_up_says_what_is_missing(settings: dict, reason: str) -> None:
    assert EmailChannel(EmailConfig(**settings)).readiness == (False, reason)


@pytest.mark.parametrize(("host", "ready"), [("localhost", True), ("127.0.0.2", True), ("mail.example.org", False)])
def test_a_password_never_travels_in_clear_text(host: str, ready: bool) -> None:
    config = EmailConfig(host=host, to=[TO], username="u", tls="none")
    readiness = EmailChannel(config, Password("p")).readiness
    assert readiness.ready is ready
    assert ready or "clear text" in readiness.reason


def test_every_recipient_has_a_message_id_of_its_own() -> None:
    ids = {compose(delivery(target), "hxp@example.net")["Message-ID"] for target in (TO, "b@example.org")}
    assert len(ids) == 2


def test_a_message_by_hand_says_what_it_says() -> None:
    mail = compose(delivery(TO, kind="message", rule="", title="deploy", since=None, priority="info"), "a@b")
    assert mail["Subject"] == "[INFO] deploy"
    assert "Condition" not in mail.get_body(("plain",)).get_content()


def test_a_resolve_says_why() -> None:
    mail = compose(delivery(TO, kind="resolved", reason="rule_changed"), "a@b")
    assert mail["Subject"] == "[CRITICAL] critical_alert: resolved"
    assert "Reason: its rule was changed or removed" in mail.get_body(("plain",)).get_content()


def alert(number: int, status: str = "firing", **more) -> Alert:
    values = {
        "fingerprint": f"{number:016}",
        "episode": f"ep-{number}",
        "status": status,
        "priority": "critical",
        "labels": {"alertname": "errors", "severity": "critical", "agent": f"agent-{number}"},
        "annotations": {"summary": f"error_rate is 0.{number}", "runbook_url": "https://wiki.example/errors"},
        "starts_at": NOW - 60,
    }
    return Alert(**(values | more))


def test_one_alert_is_told_with_its_labels_and_its_runbook() -> None:
    mail = compose(delivery(TO, alerts=(alert(1),)), "a@b")
    text = mail.get_body(("plain",)).get_content()
    assert "Labels: agent=agent-1\n" in text
    assert "Runbook: https://wiki.example/errors\n" in text


def test_many_alerts_are_told_one_by_one() -> None:
    """Text and HTML list them; what is too much is counted."""
    alerts = (alert(1), alert(2, "resolved"), *(alert(number) for number in range(3, 31)))
    mail = compose(delivery(TO, alerts=alerts, truncated=5), "a@b")
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "- firing · errors (agent=agent-1) · error_rate is 0.1 · since 2027-01-15T07:59:00.000Z\n" in text
    assert "- resolved · errors (agent=agent-2)" in text
    assert "- and 15 more\n" in text
    assert html.count("<li>") == 21
    assert "width=device-width" in html


def test_a_group_is_a_thread_of_its_own_whatever_its_key_looks_like() -> None:
    """Root and id are the same for every attempt, and never break a header."""
    thread = '{}:{agent="x\r\nBcc: evil@example.org"}'
    mails = [
        compose(delivery(TO, kind, id=f"{thread}/{number}", thread=thread), "a@b.example")
        for number, kind in enumerate(("email", "email"))
    ]
    assert mails[0]["References"] == mails[1]["References"]
    assert mails[0]["Message-ID"] != mails[1]["Message-ID"]
    for mail in mails:
        assert re.fullmatch(r"<[0-9a-f]{32}@b\.example>", mail["References"])
        assert re.fullmatch(r"<[0-9a-f]{32}\.[0-9a-f]{8}@b\.example>", mail["Message-ID"])


def test_a_drill_says_so() -> None:
    assert compose(delivery(TO, test=True), "a@b")["Subject"] == "[TEST] [CRITICAL] critical_alert: firing"


@pytest.mark.parametrize(
    ("fault", "failure"), [("451 later", "serverError"), ("554 never", "clientError"), ("550 gone", "clientError")]
)
async def test_failures_are_counted_by_whose_they_are(
    mail_server: MailServer, authority_file, fault: str, failure: str
) -> None:
    mail_server.faults["RCPT"] = [fault]
    with pytest.raises((Retry, Dead)) as caught:
        await channel(mail_server, authority_file).send(delivery(TO), 5)
    assert caught.value.failure == failure
