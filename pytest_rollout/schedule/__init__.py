"""Run canaries by their schedules: each slot once, and what became of it is recorded."""
