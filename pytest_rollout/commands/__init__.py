"""What the subcommands of ``rollout`` do; ``cli.py`` only names their options."""
