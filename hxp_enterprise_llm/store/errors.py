"""What the store raises.

StoreError
├── StoreUnavailable     the file cannot be opened, read or written; carries path and reason
├── StoreInUse           another process has it; carries path and owner
├── StoreTooNew          a newer release wrote the file
└── StoreClosed          used before open or after close
"""

from __future__ import annotations

from pathlib import Path


class StoreError(Exception):
    """Base of what the store raises."""


class StoreUnavailable(StoreError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"the store {self.path} cannot be used: {self.reason}"


class StoreInUse(StoreError):
    def __init__(self, path: Path, owner: str) -> None:
        super().__init__(path, owner)
        self.path, self.owner = path, owner

    def __str__(self) -> str:
        return (
            f"the store {self.path} is in use by {self.owner}; one process owns a store:"
            " end that one, or give this one a state.directory of its own"
        )


class StoreTooNew(StoreError):
    def __init__(self, path: Path, revision: str) -> None:
        super().__init__(path, revision)
        self.path, self.revision = path, revision

    def __str__(self) -> str:
        return (
            f"the store {self.path} was written by a newer release (revision {self.revision}): run that release,"
            " or go back to the copy made before the upgrade (docs/operations.md, Roll back)"
        )


class StoreClosed(StoreError):
    def __str__(self) -> str:
        return "the store is not open"
