"""Ask Prometheus what gates need to know: windows, samples, how processes were watched."""
