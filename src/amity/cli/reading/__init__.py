"""`amity read`: one meter, by hand."""
