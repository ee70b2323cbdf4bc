"""`amity demo`: a living utility in one folder."""
