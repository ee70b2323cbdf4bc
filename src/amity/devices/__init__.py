"""How one meter model speaks: conversations as generators, both sides, and profiles as data."""
