"""Alembic's scripts for the collector's database; `amity.storage.migrations.upgrade` runs them at start."""
