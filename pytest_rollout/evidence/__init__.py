"""The evidence log: what happened before this run."""
