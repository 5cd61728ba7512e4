"""What the subcommands of ``rollout`` do; ``cli`` only names their options."""
