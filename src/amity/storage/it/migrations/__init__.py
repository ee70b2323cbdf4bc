"""Alembic's scripts for the IT zone's database; `amity.storage.migrations.upgrade` runs them at start."""
