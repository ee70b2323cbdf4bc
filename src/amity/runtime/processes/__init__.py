"""This process among others: its children, the service manager, the user that it runs as."""
