"""What a process can be, each role's wiring, and how they run together in one process."""
