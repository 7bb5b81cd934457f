"""A backup as one file: a plain tar. What comes out of one is not trusted."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from hxp_enterprise_llm.orchestration.backup.model import MANIFEST, BackupError
from hxp_enterprise_llm.runtime.files import sync

SUFFIXES = (".tar", ".tar.gz", ".tgz")


def is_archive(target: Path) -> bool:
    """Whether a name stands for a file and not for a directory."""
    return target.name.endswith(SUFFIXES)


def pack(root: Path, target: Path) -> None:
    """Write a directory into a tar under its final name, whole or not at all, for its owner only. Raises OSError."""
    new = target.with_name(target.name + ".partial")
    # The directory that it is made of belongs to this backup alone: so does what is left over of an earlier one.
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file, _writer(file, target) as tar:
            # The manifest first: what is in the file can be seen without reading all of it.
            tar.add(root / MANIFEST, MANIFEST)
            for path in sorted(each for each in root.rglob("*") if each.is_file() and each.name != MANIFEST):
                tar.add(path, path.relative_to(root).as_posix())
        sync(new)
        new.rename(target)
        sync(target.parent)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _writer(file: IO[bytes], target: Path) -> tarfile.TarFile:
    if target.name.endswith("gz"):
        return tarfile.open(fileobj=file, mode="w:gz", compresslevel=1)
    return tarfile.open(fileobj=file, mode="w")


@contextmanager
def unpacked(source: Path, beside: Path) -> Iterator[Path]:
    """The directory of a backup; that of a tar is made in `beside` and goes afterwards. Raises BackupError, OSError."""
    if source.is_dir():
        yield source
        return
    with TemporaryDirectory(prefix=".restore-", dir=beside) as directory:
        root = Path(directory)
        try:
            with tarfile.open(source) as tar:
                for member in tar:
                    _extract(tar, member, root)
        except (tarfile.TarError, EOFError) as error:
            # Of a file that is no archive a line follows for each compression that was tried.
            why = str(error).partition(":\n")[0]
            raise BackupError(f"{source} is no backup, or only a part of one: {why}") from error
        yield root


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    parts = Path(member.name).parts
    if not member.isreg() or member.name.startswith("/") or ".." in parts:
        raise BackupError(f"{tar.name!s}: {member.name!r} does not belong into a backup; do not use this file")
    target = root.joinpath(*parts)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = tar.extractfile(member)
    assert content is not None
    handle = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file, content:
        while block := content.read(1 << 20):
            file.write(block)
