"""One function per thing somebody can ask for: the only door into the system for API, console and CLI."""
