"""Sources that are asked: an analytics engine, Prometheus, a page of metrics, a gateway's health."""
