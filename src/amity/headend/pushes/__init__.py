"""What meters push unasked: opened, believed or parked, normalised, and put onto the disk in batches."""
