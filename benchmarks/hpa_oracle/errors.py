"""What a metric's failure is told as."""


class MetricError(Exception):
    """A metric that cannot be had or judged; its text is the controller's."""
