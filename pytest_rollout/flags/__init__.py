"""Change flags, and prove that they have changed."""
