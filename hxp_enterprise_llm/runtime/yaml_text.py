"""Loaders of YAML that bad text cannot keep busy."""

from __future__ import annotations

import yaml
from yaml.scanner import Scanner

MAX_BRACKETS = 100
"""Most brackets that may be open at a time."""


class _FewBrackets(Scanner):
    """With each bracket that opens, the scanner looks again at all that are open: hundreds cost seconds."""

    def fetch_flow_collection_start(self, TokenClass: type[yaml.Token]) -> None:
        """As the scanner's own. Raises RecursionError, as text does that is nested in another way."""
        if self.flow_level >= MAX_BRACKETS:
            raise RecursionError
        super().fetch_flow_collection_start(TokenClass)


class SafeLoader(_FewBrackets, yaml.SafeLoader):
    """As yaml.SafeLoader."""


class BaseLoader(_FewBrackets, yaml.BaseLoader):
    """As yaml.BaseLoader: every scalar is text."""
