"""Random mutation of real telegrams against every decoder (`make fuzz`); one seed replays a run."""
