"""The IT zone's database: registry, channel-day blocks, deliveries, VEE findings, logins, undecodable messages."""
