"""`amity doctor`: whether a machine and its installation are fit to read meters, one module for each kind of check."""
