"""Metrics of a webapp: its connections, its requests, its links."""

from __future__ import annotations

import time

from warouter.http.edge import Edge
from warouter.http.meter import Meter
from warouter.metrics import Sample
from warouter.node.mapview import MapView
from warouter.node.webhooks import CloudWebhooks


class WebappFigures:
    """Collects the metrics of a webapp, for its reports and for its own answers."""

    def __init__(self, meter: Meter, view: MapView) -> None:
        self._meter = meter
        self._view = view
        self._started = time.monotonic()
        self.door: Edge | None = None
        self.webhooks: CloudWebhooks | None = None

    def samples(self) -> list[Sample]:
        links = self._view.links
        return [
            Sample("web_uptime", round(time.monotonic() - self._started)),
            Sample("web_total_processes", 1),
            Sample("web_idle_processes", int(self._meter.under_way == 0)),
            Sample("warouter_link_connected", links.connected),
            Sample("warouter_link_pending_messages", links.pending),
            Sample("warouter_link_pending_bytes", links.pending_bytes),
            Sample("warouter_database_up", int(not self._view.away)),
            *self._meter.samples(),
            *(self.door.samples() if self.door is not None else ()),
            *(self.webhooks.samples() if self.webhooks is not None else ()),
        ]
