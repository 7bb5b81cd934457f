"""One release in all processes of a service: a child started after an upgrade would be a newer one than its parent."""

from __future__ import annotations

import sys

from hxp_enterprise_llm import __version__

EX_OTHER_RELEASE = 75
"""How a child ends, and after it the whole: the same command works once it is started anew (sysexits' EX_TEMPFAIL)."""


class OtherRelease(Exception):
    """A child found another release installed than the one that runs. `label` names the child."""

    def __init__(self, label: int | str) -> None:
        super().__init__(label)
        self.label = label

    def __str__(self) -> str:
        return (
            f"worker {self.label} cannot be replaced: another release is installed than {__version__}, which runs; "
            "all processes end, to be started as one release"
        )


def refuses(parents: str) -> bool:
    """Whether this child is of another release than its parent; then it has said so."""
    if parents == __version__:
        return False
    sys.stderr.write(f"this is release {__version__}, the first process is release {parents}: not started\n")
    return True
