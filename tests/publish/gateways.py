"""What a Pushgateway holds."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from sandbox.components import request


def samples(gateway: str) -> list[Sample]:
    """Every sample of the gateway, as Prometheus scrapes it with `honor_labels`."""
    text = request(f"{gateway}/metrics").decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def stored(gateway: str, name: str) -> dict[tuple[str, ...], float]:
    """Label values (sorted by label name) to value, of one metric in the gateway."""
    found = [sample for sample in samples(gateway) if sample.name == name]
    return {tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in found}
