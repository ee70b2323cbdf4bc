"""Wire protocols, each alone and without I/O: bytes in, values and typed errors out."""
