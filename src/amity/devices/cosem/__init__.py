"""What the values of the interface classes mean: enumerations, structures and state tables, for client and meter."""
