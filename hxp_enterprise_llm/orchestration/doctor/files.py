"""Permissions and credentials: who else may read and write what is ours."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hxp_enterprise_llm.config.loader import Loaded
from hxp_enterprise_llm.config.secrets import SecretError, read_secret
from hxp_enterprise_llm.orchestration.doctor.model import Finding

CREDSTORE = Path("/etc/credstore")
CREDENTIALS = {
    "alertmanager-password",
    "centrifuge-hmac-previous-secret",
    "centrifuge-hmac-secret",
    "event-log-api-key",
    "nats-password",
    "nats-token",
    "redis-password",
    "slack-bot-token",
    "slack-webhook-url",
    "smtp-password",
}
_WEBHOOK_SECRET = "webhook-secret-"
_NO_SECRETS = {"api_keys_file", "ca_file", "public_key_file"}
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITE_FOR_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def look_at_configuration_file(path: Path) -> Iterator[Finding]:
    """Who may change the configuration, may do what the services may."""
    mode = path.stat().st_mode
    if mode & stat.S_IWOTH:
        yield Finding("permissions.configuration", "fault", f"every user may write {path}", f"sudo chmod o-w {path}")
    else:
        yield Finding("permissions.written_by", "ok", f"{path} (mode {stat.S_IMODE(mode):04o})")


def look_at_state(directory: Path) -> Iterator[Finding]:
    """A state directory and all in it are for the service's user alone, and that user's."""
    try:
        found = directory.stat()
    except FileNotFoundError:
        yield Finding(
            "permissions.no_state",
            "warning",
            f"{directory} does not exist: the service has never been started",
            "start the service; it makes the directory",
        )
        return
    except PermissionError:
        yield Finding(
            "permissions.hidden", "warning", f"{directory} cannot be looked at by this user", "sudo hxp doctor"
        )
        return
    yield from _for_others(directory, found)
    owner = found.st_uid
    for path in sorted(directory.rglob("*")):
        try:
            entry = path.lstat()
        except FileNotFoundError:
            continue  # a running service drops segments and temporary files
        yield from _for_others(path, entry)
        if entry.st_uid != owner:
            yield Finding(
                "permissions.owner",
                "fault",
                f"{path} belongs to user {entry.st_uid}, its directory to {owner}: the service cannot use it",
                f"sudo chown --reference={directory} {path}",
            )
    if os.geteuid() not in {0, owner}:
        yield Finding(
            "permissions.other_user",
            "warning",
            f"{directory} belongs to user {owner}, this is user {os.geteuid()}: not everything can be looked at",
            "sudo hxp doctor",
        )


def _for_others(path: Path, found: os.stat_result) -> Iterator[Finding]:
    if not stat.S_ISLNK(found.st_mode) and found.st_mode & _FOR_OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        yield Finding(
            "permissions.state",
            "fault",
            f"{path} is open to other users (mode {mode:04o})",
            f"sudo chmod go-rwx {path}",
        )


def look_at_credstore(directory: Path = CREDSTORE) -> Iterator[Finding]:
    """The secrets that systemd hands to our units: root's alone, and none of them empty."""
    for path in sorted(directory.glob("*")):
        if path.name not in CREDENTIALS and not path.name.startswith(_WEBHOOK_SECRET):
            continue
        try:
            found = path.stat()
        except OSError:
            continue
        if found.st_mode & _FOR_OTHERS:
            what = f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):04o})"
            yield Finding("credentials.open", "fault", what, f"sudo chmod 0600 {path}")
        if not found.st_size:
            yield Finding("credentials.empty", "fault", f"{path} is empty", "write the secret into it, or remove it")


def look_at_credentials(loaded: Loaded[Any], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Every file with a secret that the configuration names: there, readable, closed to others. Nothing is shown."""
    for path, file in secret_files(loaded):
        try:
            read_secret(file, "", environ)
        except SecretError as error:
            yield Finding("credentials.file", "fault", f"{path}: {error.file}: {error.reason}", error.advice)
        else:
            yield Finding("credentials.readable", "ok", f"{path}: {file} can be read")


def secret_files(loaded: Loaded[Any]) -> list[tuple[str, str]]:
    """Key of the configuration and file, of each secret that is in a file."""
    return sorted(_named_files(loaded.config, ""))


def _named_files(config: Any, path: str) -> Iterator[tuple[str, str]]:
    for field in getattr(config, "__struct_fields__", ()):
        value = getattr(config, field)
        where = f"{path}.{field}".lstrip(".")
        if field.endswith("_file") and field not in _NO_SECRETS:
            if value:
                yield where, value
        elif isinstance(value, dict):
            for key, each in value.items():
                yield from _named_files(each, f"{where}.{key}")
        elif isinstance(value, list | tuple):
            for number, each in enumerate(value):
                yield from _named_files(each, f"{where}[{number}]")
        else:
            yield from _named_files(value, where)
