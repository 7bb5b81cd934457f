"""Steps from one form of the tables to the next; Alembic runs them when the store is opened."""

from __future__ import annotations

from pathlib import Path

MIGRATIONS = Path(__file__).parent
