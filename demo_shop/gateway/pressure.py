"""What keeps the gateway standing under pressure, put together: forwarded addresses, rate limit, admission, dimmer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from demo_shop.gateway.admission import Admission, AdmissionSettings
from demo_shop.gateway.admission_layer import AdmissionLayer
from demo_shop.gateway.brownout import BrownoutCeiling
from demo_shop.gateway.brownout_routes import brownout_routes
from demo_shop.gateway.dimmer import Dimmer
from demo_shop.gateway.forwarded import ForwardedLayer, TrustedProxies
from demo_shop.gateway.pressure_metrics import PressureMetrics
from demo_shop.gateway.rate_limit import RateLimiter, RateLimitSettings
from demo_shop.gateway.rate_limit_layer import RateLimitLayer
from demo_shop.gateway.security_headers import SecurityHeadersLayer
from demo_shop.settings import Settings

#: Seconds between two looks at the event loop's lag.
LOOK_S = 0.1


class Pressure:
    """`install` it around the app, `run` it in the background, mount its `management_routes`.

    Pages ask `dimmer.serves_optional(rng)` what to carry and tell `dimmer.count_degraded(part)` what is missing.
    """

    def __init__(self, settings: Settings, registry: CollectorRegistry, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self.ceiling = BrownoutCeiling()
        self.dimmer = Dimmer(self.ceiling)
        self.admission = Admission(AdmissionSettings.starting_with(settings.most_in_flight))
        self.limiter = RateLimiter(RateLimitSettings(settings.rate_limit_rps, settings.rate_limit_burst))
        self._proxies = TrustedProxies(settings.trusted_proxies)
        registry.register(PressureMetrics(self.admission, self.dimmer, self.limiter, clock))

    def install(self, app: FastAPI) -> None:
        """Puts the layers around the app, the cheapest refusal outermost."""
        # What is added last is outermost.
        app.add_middleware(
            AdmissionLayer,
            admission=self.admission,
            observe=self.dimmer.observe,
            clock=self._clock,
        )
        if self.limiter.settings.rate_rps > 0.0:
            app.add_middleware(RateLimitLayer, limiter=self.limiter, trusts=self._proxies.trusts, clock=self._clock)
        if self._proxies:
            app.add_middleware(ForwardedLayer, trusted=self._proxies)
        app.add_middleware(SecurityHeadersLayer)

    async def run(self) -> None:
        """Looks at the event loop's lag for ever and lets the limit and the dimmer follow."""
        while True:
            due_s = self._clock() + LOOK_S
            await asyncio.sleep(LOOK_S)
            now_s = self._clock()
            lag_s = max(0.0, now_s - due_s)
            self.admission.adapt(lag_s, now_s)
            self.dimmer.adjust(lag_s, now_s)

    def management_routes(self) -> list[Route]:
        """GET, PUT, DELETE /-/brownout, for `frame.manage`."""
        return brownout_routes(self.ceiling, self.dimmer, self._clock)
