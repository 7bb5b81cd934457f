"""E-mail by SMTP. TLS is what the configuration says, never less."""

from __future__ import annotations

import asyncio
import socket
import ssl
from ipaddress import ip_address

import aiosmtplib

from hxp_enterprise_llm.config.addresses import is_address
from hxp_enterprise_llm.config.delivery import EmailConfig
from hxp_enterprise_llm.event.notifications.channels.mail import compose
from hxp_enterprise_llm.event.notifications.channels.model import ChannelFault, Dead, Readiness, Retry, Secret
from hxp_enterprise_llm.event.notifications.channels.wording import Wording, plainly
from hxp_enterprise_llm.event.notifications.model import Delivery
from hxp_enterprise_llm.security.egress import Egress
from hxp_enterprise_llm.security.fetch import words
from hxp_enterprise_llm.telemetry.redaction import Redactor

ANYWHERE = Egress()
BLOCKED_SECONDS = 300.0
"""Pause after a refusal that only the operator can end: a wrong password, a certificate, no STARTTLS."""
_QUIT_SECONDS = 1.0
_LOGIN_CODES = frozenset({530, 534, 535, 538})
_PATH = "real_time_notifications.email"


class EmailChannel:
    """Sends each delivery as a mail of its own to one recipient."""

    def __init__(
        self,
        config: EmailConfig,
        password: Secret | None = None,
        egress: Egress = ANYWHERE,
        wording: Wording = plainly,
    ) -> None:
        """Raises ChannelFault for addresses and files that cannot be used."""
        self._config, self._password, self._egress, self._wording = config, password, egress, wording
        self._redact = Redactor()
        if password is not None:
            self._redact.hide(password.reveal())
        self._sender = _address(f"{_PATH}.from", config.sender)
        self._targets = tuple(_address(f"{_PATH}.to[{index}]", text) for index, text in enumerate(config.to))
        self._tls = None if config.tls == "none" else _tls_context(config.ca_file)

    @property
    def name(self) -> str:
        return "email"

    @property
    def targets(self) -> tuple[str, ...]:
        return self._targets

    @property
    def readiness(self) -> Readiness:
        if self._config.host and not self._targets:
            return Readiness(False, f"nobody to write to: name recipients in {_PATH}.to")
        return self.reaches("")

    def reaches(self, target: str) -> Readiness:
        config = self._config
        if not config.host:
            return Readiness(False, f"{_PATH}.host is empty")
        if config.username and self._password is None:
            return Readiness(
                False, f"no password for {config.username}: set {_PATH}.password_file or the credential smtp-password"
            )
        if config.username and config.tls == "none" and not _is_loopback(config.host):
            return Readiness(False, f"the password would travel in clear text: set {_PATH}.tls to starttls or implicit")
        return Readiness(True)

    async def send(self, delivery: Delivery, timeout: float) -> None:
        """Return once the server has taken the mail. Raises Retry, Dead."""
        client: aiosmtplib.SMTP | None = None
        worded = await self._wording(delivery.notification, ("title", "text", "html"))
        mail = compose(delivery, self._sender, worded).as_bytes()
        try:
            async with asyncio.timeout(timeout):
                sock = await self._egress.connect(self._config.host, self._config.port)
                client = self._client(timeout, sock)
                await client.connect()
                await client.sendmail(self._sender, [delivery.target], mail)
            # Taken: from here on nothing may make it look as if it were not.
            await _leave(client)
        except TimeoutError as error:
            raise Retry(f"the mail server did not answer within {timeout:g} s", failure="timeout") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _failure(error).redacted(self._redact) from None
        finally:
            if client is not None:
                client.close()

    def _client(self, timeout: float, sock: socket.socket) -> aiosmtplib.SMTP:
        config = self._config
        return aiosmtplib.SMTP(
            hostname=config.host,
            sock=sock,
            use_tls=config.tls == "implicit",
            start_tls=config.tls == "starttls",
            tls_context=self._tls,
            username=config.username or None,
            password=self._password.reveal() if config.username and self._password else None,
            # Its default asks the DNS for our name, and waits for it.
            local_hostname=self._sender.rpartition("@")[2],
            timeout=timeout,
        )


async def _leave(client: aiosmtplib.SMTP) -> None:
    try:
        await client.quit(timeout=_QUIT_SECONDS)
    except (aiosmtplib.SMTPException, OSError):
        return


def _failure(error: Exception) -> Retry | Dead:
    """What an error of the SMTP library means for the delivery."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return _failure(error.recipients[0])
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _refusal(error)
    if tls_error := _tls_error(error):
        reason = getattr(tls_error, "verify_message", "") or tls_error.reason or "handshake failed"
        return Retry(f"no trusted TLS connection: {reason}", after=BLOCKED_SECONDS)
    if "STARTTLS" in str(error):
        hint = "a server without it needs tls: implicit, or tls: none for a relay on this host"
        return Retry(f"the mail server does not offer STARTTLS; {hint}", after=BLOCKED_SECONDS)
    if type(error) is aiosmtplib.SMTPException or isinstance(error, aiosmtplib.SMTPNotSupported):
        return Retry(f"the mail server lacks what is needed: {error}", after=BLOCKED_SECONDS)
    if isinstance(error, aiosmtplib.SMTPServerDisconnected | ConnectionResetError):
        return Retry(f"the mail server broke off the connection: {_brief(error)}")
    return Retry(f"the mail server cannot be reached: {_brief(error)}")


def _refusal(error: aiosmtplib.SMTPResponseException) -> Retry | Dead:
    text = f"{error.code} {error.message}".replace("\n", " ").strip()
    if isinstance(error, aiosmtplib.SMTPAuthenticationError) or error.code in _LOGIN_CODES:
        return Retry(f"the mail server refuses the log-in: {text}", after=BLOCKED_SECONDS, failure="authError")
    # A greeting or EHLO that is refused says nothing about the mail.
    about_the_server = isinstance(error, aiosmtplib.SMTPConnectResponseError | aiosmtplib.SMTPHeloError)
    if about_the_server or error.code < 500:
        return Retry(f"the mail server says {text}", failure="serverError")
    return Dead(f"the mail server says {text}")


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error that an error is, or that the SMTP library wrapped into one."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__
    return error


def _brief(error: Exception) -> str:
    return words(error).splitlines()[0][:300]


def _address(path: str, text: str) -> str:
    if not is_address(text):
        raise ChannelFault(path, f"{text!r} is no e-mail address such as ops@example.org")
    return text


def _tls_context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ChannelFault(f"{_PATH}.ca_file", f"{ca_file} cannot be used: {error.strerror or error}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
