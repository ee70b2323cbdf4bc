"""The head-end: sessions with meters, retries, invocation counters, normalisation, pushes, delivery to the IT zone."""
