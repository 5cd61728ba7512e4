"""normalize-stages: the migration of stored stages to their canonical names."""
