"""Lists all ResiliencePolicies now and then: at the start, and against watch events that were lost."""

from __future__ import annotations

import logging
import threading
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from foresail.policy_store import PolicyStore
from foresail.resources.crd import GROUP, PLURAL, VERSION

log = logging.getLogger("foresail.policies")

#: Silent watches have been seen in every framework; five minutes is what a lost event costs at most.
RELIST_S = 300.0
RETRY_S = 5.0


class PolicyLister:
    """`list_once` asks once; `start` goes on asking in a thread of its own."""

    def __init__(
        self, api: client.CustomObjectsApi, store: PolicyStore, namespaces: tuple[str, ...], timeout_s: float
    ) -> None:
        """`namespaces` empty: all."""
        self._api, self._store, self._namespaces, self._timeout_s = api, store, namespaces, timeout_s
        self._stopping, self._wanted = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="foresail-policies", daemon=True)
        self._problem: str | None = None

    def start(self) -> None:
        self._thread.start()

    def list_soon(self) -> None:
        """Lists now instead of when it is due: a new leader's watch may have missed what the last one knew."""
        self._wanted.set()

    def stop(self, timeout_s: float) -> None:
        self._stopping.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def list_once(self) -> bool:
        """Whether there was an answer."""
        turn = self._store.listing()
        try:
            bodies = [body for namespace in self._namespaces or (None,) for body in self._list(namespace)]
        except (ApiException, HTTPError, OSError, ValueError) as error:
            self._trouble(_said(error))
            return False
        self._store.listed(turn, bodies)
        self._trouble(None)
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                answered = self.list_once()
            except Exception:
                log.exception("policies_not_listed")
                answered = False
            self._wanted.wait(RELIST_S if answered else RETRY_S)
            self._wanted.clear()

    def _list(self, namespace: str | None) -> list[Any]:
        bodies: list[Any] = []
        token: str | None = None
        while True:
            page = self._page(namespace, token)
            bodies.extend(page.get("items") or ())
            token = (page.get("metadata") or {}).get("continue") or None
            if token is None:
                return bodies

    def _page(self, namespace: str | None, token: str | None) -> dict[str, Any]:
        options: dict[str, Any] = {"limit": 250, "_request_timeout": self._timeout_s}
        if token is not None:
            options["_continue"] = token
        if namespace is None:
            answer = self._api.list_cluster_custom_object(GROUP, VERSION, PLURAL, **options)
        else:
            answer = self._api.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, **options)
        if not isinstance(answer, dict):
            raise ValueError("the API server answered no list")
        return answer

    def _trouble(self, problem: str | None) -> None:
        """Logged when it changes: an API server that is away for an hour is one line."""
        if problem is not None and problem != self._problem:
            log.warning("policies_not_listed", extra={"problem": problem})
        self._problem = problem


def _said(error: Exception) -> str:
    if isinstance(error, ApiException):
        missing = ": is the CustomResourceDefinition installed?" if error.status == 404 else ""
        return f"{error.status} {error.reason}{missing}"
    return str(error)
