"""The reference target of this repository: a dashboard, its monitoring, and faults to switch on."""
