"""The files of definitions: read as they stand, written whole or not at all, seen when somebody changes them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from hxp_enterprise_llm.event.dashboards.model import Name

Stamp = tuple[int, int]
"""Time of the last change (ns) and size of a file."""


def source(directory: Path, name: Name) -> str:
    """The text of a definition: the operator's, else the shipped one. Raises OSError."""
    try:
        return (directory / f"{name}.json").read_text("utf-8")
    except FileNotFoundError:
        shipped = files("hxp_enterprise_llm.event.dashboards").joinpath("shipped", f"{name}.json")
        return shipped.read_text("utf-8")


def write(directory: Path, name: Name, text: str) -> None:
    """Put a definition in place: on disk before it has its name, never through a symbolic link. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _replace(folder, f"{name}.json", text.encode())
        os.fsync(folder)
    finally:
        os.close(folder)


def _replace(folder: int, name: str, content: bytes) -> None:
    fresh = f".{name}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with open(os.open(fresh, flags, 0o640, dir_fd=folder), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)


def stamps(directory: Path, names: Iterable[Name]) -> Mapping[Name, Stamp]:
    """When each file was last changed; one that is missing is not named."""
    found: dict[Name, Stamp] = {}
    for name in names:
        try:
            status = (directory / f"{name}.json").stat()
        except OSError:
            continue
        found[name] = (status.st_mtime_ns, status.st_size)
    return found
