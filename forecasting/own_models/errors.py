"""What can be wrong with the user's series, models and registry. Each message says what to do."""

from __future__ import annotations


class OwnModelError(Exception):
    """Root of all of these."""


class TrainingImpossible(OwnModelError):
    """The series hold too little to learn from, or do not fit together."""


class ModelInvalid(OwnModelError):
    """A model's folder must not be served: a file is missing, changed, too large or of an unknown kind."""


class RegistryInvalid(OwnModelError):
    """The registry's manifest cannot be read, or does not hold what was asked for."""


class PrometheusUnavailable(OwnModelError):
    """Prometheus gave no series: not reachable, refused the query, or knows nothing of it."""


class HubModelInvalid(OwnModelError):
    """A local folder holds no hub model that we serve, or its worker failed."""
