"""The utility's own nouns as frozen values: meters, readings, events, collection, registry."""
