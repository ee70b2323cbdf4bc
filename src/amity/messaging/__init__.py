"""NATS JetStream and the protobuf messages that cross zones."""
