"""The link between a collector near the meters and the head-end: many streams on one connection, compressed (ours)."""
