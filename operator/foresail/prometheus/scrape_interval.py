"""How often Prometheus scrapes, from its own record: rates need two samples, and no more delay than that."""

from __future__ import annotations

from foresail.prometheus.answers import Frame
from foresail.prometheus.selection import Scope

#: So often it is looked at anew: charts set 30 s, people change it, and a young Prometheus has little to show.
MEASURED_EVERY_S = 300.0
_USUAL_S = (5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0)
#: Scrapes that failed or had not begun make the interval look longer than it is.
_LENIENCE = 0.8


def interval_query(scope: Scope) -> str:
    """Samples that most targets of these namespaces have left in the last five minutes."""
    return f"quantile(0.75,count_over_time({scope.of('up')}[5m]))"


def interval_s(answer: Frame | None) -> float | None:
    """The usual interval that such a count stands for, in seconds; None: nothing can be said."""
    count = float(answer.values[0, -1]) if answer is not None and len(answer.labels) == 1 else float("nan")
    if not count >= 2.0:
        return None
    apart_s = MEASURED_EVERY_S / (count - 1.0)
    return next((usual_s for usual_s in _USUAL_S if usual_s >= _LENIENCE * apart_s), _USUAL_S[-1])
