"""dlms_config.yaml of an installed service: read strictly, refused with line and key."""
