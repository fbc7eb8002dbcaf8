"""kopf takes in ResiliencePolicies, and starts and ends the operator. Everything else runs in threads of its own.

    kopf run -m foresail.handlers --standalone --all-namespaces --liveness=http://0.0.0.0:8081/healthz

Only `on.event`: no timers, no daemons, nothing that adds a finalizer or an annotation to people's objects.
"""

from __future__ import annotations

import os
from typing import Any

import kopf

from foresail import logs, unused_memory, wiring
from foresail.api_client import ApiUnreachable, api_client
from foresail.operator_process import Operator
from foresail.resources.crd import GROUP, PLURAL, VERSION
from foresail.settings import Settings, SettingsInvalid


@kopf.on.startup()
def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    """Runs in kopf's thread pool, before anything is watched."""
    quieten(settings)
    try:
        own = Settings.from_environment(os.environ)
        logs.configure(own.log_level)
        unused_memory.keep_together()
        operator = wiring.build(own, api_client(os.environ))
        operator.start()
    except (SettingsInvalid, ApiUnreachable, OSError) as error:
        raise kopf.PermanentError(str(error)) from error
    memo.operator = operator


@kopf.on.login()
def login(**named: Any) -> kopf.ConnectionInfo | None:
    """The same way to the API server as `foresail.api_client` takes."""
    if "KUBECONFIG" in os.environ:
        return kopf.login_with_kubeconfig(**named)
    return kopf.login_with_service_account(**named) or kopf.login_with_kubeconfig(**named)


@kopf.on.cleanup()
def stop(memo: kopf.Memo, **_: Any) -> None:
    """On SIGTERM: the Lease is released, so that a successor acts within seconds."""
    operator: Operator | None = memo.get("operator")
    if operator is not None:
        operator.stop()


@kopf.on.event(GROUP, VERSION, PLURAL)
async def policy_seen(type: str | None, body: kopf.Body, memo: kopf.Memo, **_: Any) -> None:
    """Quick and without waiting: it only puts the object where the loop finds it at its next tick."""
    operator: Operator = memo.operator
    if type == "DELETED":
        operator.store.remove(dict(body))
    else:
        operator.store.put(dict(body))


def quieten(settings: kopf.OperatorSettings) -> None:
    """Settings under which kopf writes nothing anywhere, and notices watches that have died."""
    # Peering is no leader election: with equal priorities all replicas stop.
    settings.peering.standalone = True
    # Events are ours to write, and only the leader's.
    settings.posting.enabled = False
    # Nothing is to be stored on objects, neither in their status nor in annotations.
    settings.persistence.progress_storage = kopf.MultiProgressStorage([])
    settings.persistence.diffbase_storage = kopf.MultiDiffBaseStorage([])
    # Our rights end at the watched namespaces: kopf shall neither list namespaces nor watch definitions.
    settings.scanning.disabled = True
    # A watch ends now and then by itself, and one that says nothing is given up.
    settings.watching.server_timeout = 300
    settings.watching.connect_timeout = 10.0
    settings.networking.request_timeout = 10.0
    # Through an hour without an API server, and back within seconds of its return.
    settings.networking.error_backoffs = (1.0, 2.0, 3.0, *((5.0,) * 720))
    settings.execution.max_workers = 2
