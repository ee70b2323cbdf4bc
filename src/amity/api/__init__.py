"""HTTP API (FastAPI), one module per noun."""
