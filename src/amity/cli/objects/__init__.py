"""`amity meter objects`: what a meter lists."""
