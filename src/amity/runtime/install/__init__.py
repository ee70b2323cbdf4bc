"""`amity install`: what an installation under systemd consists of, what of it is there, and putting the rest down."""
