"""The API key that a command sends: out of a file, never on the command line, where every user would see it."""

from __future__ import annotations

import os

import click

from hxp_enterprise_llm.cli.errors import Failure
from hxp_enterprise_llm.config.secrets import SecretError, read_secret

key_file = click.option(
    "--key-file", default="", envvar="HXP_KEY_FILE", help="File with the API key to send; else $HXP_KEY_FILE."
)


def credentials(file: str) -> dict[str, str]:
    """The headers that go with each request; none without a file. Raises Failure."""
    if not file:
        return {}
    try:
        key = read_secret(file, "", os.environ)
    except SecretError as error:
        raise Failure(str(error)) from None
    return {} if key is None else {"Authorization": f"Bearer {key.reveal()}"}
