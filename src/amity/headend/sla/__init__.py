"""Service levels: what was promised (as data), what the records show, and each meter and day that counts against it."""
