"""Release gates for staged feature-flag rollouts, as a pytest plugin."""

__version__ = "0.1.0"
