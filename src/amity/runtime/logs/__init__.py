"""What the roles tell of themselves: log lines and files, a line for each session, traces."""
