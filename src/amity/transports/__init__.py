"""Sockets and serial lines, both ends; what is said over them is the business of `devices`."""
