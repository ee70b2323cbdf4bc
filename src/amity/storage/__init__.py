"""SQLite (later PostgreSQL) behind the ports that others declare."""
