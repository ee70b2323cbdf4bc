"""The collector's own file: pushes that wait for the head-end."""
