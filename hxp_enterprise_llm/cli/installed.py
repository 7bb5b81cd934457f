"""Where an installation has its configuration, and what its units add to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from hxp_enterprise_llm.cli.errors import EX_CONFIG, Failure
from hxp_enterprise_llm.config.environment_file import EnvironmentFile, read_environment_file

INSTALLED = Path("/opt/citadel/config/services")
UNITS_STATE = Path("/var/lib/citadel")
"""`StateDirectory=` of the units, each service in a directory of its file's name."""
_HOME = Path(sys.prefix).parent
_PRODUCT = "hxp-enterprise-llm"


class Unreadable(Failure):
    """Files that only the services and root may read."""

    exit_code = EX_CONFIG


def configuration() -> Path:
    """The directory of the installation that this program is part of, wherever it is; else of the usual one."""
    return _HOME / "config" / "services" if (_HOME / _PRODUCT).is_dir() else INSTALLED


def file_of(directory: Path, name: str) -> Path | None:
    """A file of the configuration; None when it is not there. Raises Unreadable."""
    path = directory / name
    try:
        return path if path.is_file() else None
    except PermissionError:
        raise Unreadable(f"{path} cannot be read by this user: use sudo, or be in the group citadel") from None


def default_file(name: str) -> Path | None:
    """What a service starts with: beside the environment that this runs in (an installation, or a checkout), of the
    usual installation, of the working directory; None when there is none of them. Raises Unreadable.
    """
    for directory in (_HOME / "config" / "services", INSTALLED, Path("config/services")):
        if path := file_of(directory, name):
            return path
    return None


def beside(path: Path | None) -> EnvironmentFile | None:
    """The variables that the unit of an installed file reads; None for files that are no installation's.

    Raises Unreadable.
    """
    if path is None or path.resolve().parent != configuration().resolve():
        return None
    file = path.with_suffix(".env")
    try:
        return read_environment_file(file)
    except PermissionError:
        # Root's alone is enough for systemd; its reload checks as the service's user, who has these variables already.
        return EnvironmentFile(file, {}, (f"{file} cannot be read by this user: it is left out of account",))
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{file} cannot be read: {error}") from None


def environ_of(path: Path | None) -> Mapping[str, str]:
    """The environment in which a service reads this file: what its unit sets wins over this process's own."""
    file = beside(path)
    if path is None or file is None:
        return os.environ
    return {**os.environ, "STATE_DIRECTORY": str(UNITS_STATE / path.stem), **file.variables}
