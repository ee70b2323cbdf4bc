"""Files of readings that other people publish, read into series on the grid."""
