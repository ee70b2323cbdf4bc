"""Alembic's entry: it runs this module for every command."""

from amity.storage.migrations import run_environment
from amity.storage.ot.tables import metadata

run_environment(metadata)
