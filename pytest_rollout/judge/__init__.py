"""Evidence in, verdict out: no I/O, no clock, no pytest."""
