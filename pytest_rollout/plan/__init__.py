"""Plans: what a rollout promises at each stage, read from ``*.rollout.yaml``."""
