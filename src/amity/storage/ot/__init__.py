"""The OT zone's database: endpoints, invocation counters, progress of collection, outbox with raw frames."""
