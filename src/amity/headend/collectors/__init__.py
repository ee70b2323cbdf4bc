"""Collectors as the head-end sees them: who may serve, the way to meters through them, pushes they kept for us."""
