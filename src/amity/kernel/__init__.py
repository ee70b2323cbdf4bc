"""What every layer may use: identifiers, units, instants, the clock port and the root of all errors."""
