"""The forecaster of an installation: models trained on its own history where there are any, else the default, or
none of them where it was told to act on present values only."""

from __future__ import annotations

import logging

from forecasting.forecast import Forecaster
from forecasting.own_models.chosen import chosen_forecaster
from forecasting.own_models.errors import RegistryInvalid
from forecasting.persistence import PersistenceForecaster
from forecasting.serving import default_forecaster
from foresail.settings import PERSISTENCE, Settings

log = logging.getLogger("foresail.forecasters")


def forecaster(settings: Settings) -> Forecaster:
    """Never fails: what cannot be served is logged, and the next best answers for it and says so."""
    if settings.outlook == PERSISTENCE:
        log.warning("not_forecasting", extra={"fix": "unset FORESAIL_OUTLOOK, which is for comparisons only"})
        return PersistenceForecaster()
    default = default_forecaster(threads=settings.model_threads)
    if default.model is None:
        log.warning("default_model_missing", extra={"fix": "install the wheel with its models; the fallback forecasts"})
    folder = settings.models_folder
    if folder is None:
        return default
    try:
        chosen = chosen_forecaster(folder, default, settings.model_threads)
    except RegistryInvalid as error:
        log.warning("own_models_not_served", extra={"folder": str(folder), "problem": str(error)})
        return default
    for name, why in chosen.refused.items():
        log.warning("own_model_refused", extra={"model": name, "problem": why})
    return chosen
