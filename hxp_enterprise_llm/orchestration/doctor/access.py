"""Whether the services' user may read what root has written: root itself may read everything, and sees no fault."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hxp_enterprise_llm.config.loader import Loaded
from hxp_enterprise_llm.config.streaming import StreamingConfig
from hxp_enterprise_llm.orchestration.doctor.model import Finding


class User(NamedTuple):
    """Who runs a service."""

    name: str
    uid: int
    groups: frozenset[int]

    @classmethod
    def owner_of(cls, directory: Path) -> User | None:
        """The owner of a state directory; None when it is not there, cannot be looked at, or root's."""
        try:
            found = directory.stat()
        except OSError:
            return None
        if found.st_uid == 0:
            return None
        try:
            name = pwd.getpwuid(found.st_uid).pw_name
        except KeyError:
            return cls(str(found.st_uid), found.st_uid, frozenset({found.st_gid}))
        return cls(name, found.st_uid, frozenset(os.getgrouplist(name, found.st_gid)))


def look_at_readers(paths: Iterable[Path], user: User) -> Iterator[Finding]:
    """Every file, every directory above and all in a directory: for the user to read. One finding for each obstacle."""
    obstacles: dict[Path, int] = {}
    for path in paths:
        obstacles.update(_obstacles(path, user))
    for path, wanted in sorted(obstacles.items()):
        bits = "rx" if wanted & stat.S_IXOTH else "r"
        yield Finding(
            "permissions.unreadable",
            "fault",
            f"{path} cannot be read by {user.name}, as whom the service runs: its next start or reload fails",
            f"sudo chgrp {user.name} {path} && sudo chmod g+{bits} {path}",
        )


def _obstacles(path: Path, user: User) -> Iterator[tuple[Path, int]]:
    """What is in the way, with the rights that are missing."""
    try:
        for directory in reversed(path.resolve().parents):
            if not _may(directory.stat(), user, stat.S_IXOTH):
                yield directory, stat.S_IROTH | stat.S_IXOTH
                return
        yield from _within(path, user)
    except OSError:
        return  # what is not there is told by the check of the configuration


def _within(path: Path, user: User) -> Iterator[tuple[Path, int]]:
    wanted = stat.S_IROTH | stat.S_IXOTH if path.is_dir() else stat.S_IROTH
    if not _may(path.stat(), user, wanted):
        yield path, wanted
    elif path.is_dir():
        for each in path.iterdir():
            yield from _within(each, user)


def _may(found: os.stat_result, user: User, wanted: int) -> bool:
    """By the bits of the mode alone, as they are for others."""
    shift = 6 if found.st_uid == user.uid else 3 if found.st_gid in user.groups else 0
    return (stat.S_IMODE(found.st_mode) >> shift) & wanted == wanted


def read_by(loaded: Loaded[Any]) -> Iterator[Path]:
    """The files and directories of a configuration that its service reads, but for secrets."""
    config = loaded.config
    if loaded.path is not None:
        yield loaded.path
    named = [config.security.api_keys_file]
    if isinstance(config, StreamingConfig):
        notifications = config.real_time_notifications
        named += [config.live_dashboard.directory, notifications.directory, notifications.templates]
    else:
        named += [config.ingest.schemas_directory]
    yield from (Path(each) for each in named if each)
