"""Golden payloads: requests with the answers that were approved, per mode of the target."""
