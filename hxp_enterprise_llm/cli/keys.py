"""`hxp keys`: API keys for programs that are not on this host."""

from __future__ import annotations

import time

import click
import msgspec

from hxp_enterprise_llm.cli.groups import Group
from hxp_enterprise_llm.config.types import seconds
from hxp_enterprise_llm.event.model import rfc3339
from hxp_enterprise_llm.security.keys import check_scopes, digest_of, new_key
from hxp_enterprise_llm.security.model import KEY_SCOPES

LONGEST_SECONDS = 3650 * 86_400


@click.group(cls=Group)
def keys() -> None:
    """Make API keys."""


@keys.command()
@click.option("--id", "id", required=True, help="Name of the key: up to 32 of a-z 0-9 -.")
@click.option("--scopes", required=True, help=f"What it opens, separated by commas: {', '.join(sorted(KEY_SCOPES))}.")
@click.option("--expires", default="", help="For how long it is good, e.g. 90d; without: until its line is removed.")
def new(id: str, scopes: str, expires: str) -> None:
    """Make a key. The first line is the key, shown this once; the second goes into security.api_keys_file.

    hxp keys new --id backend --scopes publish,read --expires 365d
    """
    entry = {"scopes": _scopes(scopes)} | _expiry(expires)
    try:
        key = new_key(id)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--id") from None
    click.echo(key)
    click.echo("- " + msgspec.json.encode({"id": id, "sha256": digest_of(key).hex(), **entry}).decode())
    click.echo(
        "Give the first line to the program and keep it nowhere else. Add the second to the file that "
        "security.api_keys_file names, then reload (SIGHUP).",
        err=True,
    )


def _scopes(text: str) -> list[str]:
    scopes = [scope.strip() for scope in text.split(",") if scope.strip()]
    try:
        check_scopes(scopes)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--scopes") from None
    return list(dict.fromkeys(scopes))


def _expiry(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        length = seconds(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from None
    if not 0 < length <= LONGEST_SECONDS:
        raise click.BadParameter(f"{text} is not between 1s and 3650d", param_hint="--expires")
    return {"expires": rfc3339(time.time() + length)}
