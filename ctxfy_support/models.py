"""What the project itself stores: the counters behind /metrics."""

from django.db import models


class Metric(models.Model):
    """One series of a counter, summed over every process and host."""

    series = models.CharField(primary_key=True, max_length=300, help_text="name{labels}")
    value = models.FloatField()

    class Meta:
        db_table = "metrics"

    def __str__(self) -> str:
        return f"{self.series} {self.value}"
