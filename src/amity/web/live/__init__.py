"""What makes each page live: it answers what people do on it and brings what changed since."""
