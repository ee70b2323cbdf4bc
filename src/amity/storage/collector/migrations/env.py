"""Alembic's entry: it runs this module for every command."""

from amity.storage.collector.tables import metadata
from amity.storage.migrations import run_environment

run_environment(metadata)
