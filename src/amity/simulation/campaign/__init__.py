"""The whole head-end on virtual time, with everything that can go wrong, replayable from one seed."""
