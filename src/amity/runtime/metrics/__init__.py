"""What the roles tell Prometheus."""
