"""`amity meter probe`: the connection doctor."""
