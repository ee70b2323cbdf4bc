"""Alembic's scripts for the OT zone's database; `amity.storage.migrations.upgrade` runs them at start."""
