"""Sockets: TCP with the wrapper, both ends; what is said over them is the business of `devices`."""
