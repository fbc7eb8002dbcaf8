"""The workload's part of a pod's name, in Python and in PromQL alike.

A pod that is gone is in no API answer any more, but the requests that it served are demand of the past; its name tells
where they belong. Which group is which workload is taken from the living pods, not guessed.
"""

from __future__ import annotations

import re
from typing import Final

#: What Kubernetes draws random suffixes from: no vowels, no 0, 1 and 3 (apimachinery, util/rand).
_RANDOM: Final = "[bcdfghjklmnpqrstvwxz2456789]"
#: Deployment (hash and suffix), StatefulSet (ordinal), ReplicaSet or DaemonSet (suffix), anything else.
GROUP_PATTERN: Final = f"(.+)-{_RANDOM}{{1,10}}-{_RANDOM}{{5}}|(.+)-[0-9]+|(.+)-{_RANDOM}{{5}}|(.+)"
_COMPILED = re.compile(GROUP_PATTERN)


def group_of(pod: str) -> str:
    """The name that the pods of one workload have in common; the pod's own where its name has no such form."""
    found = _COMPILED.fullmatch(pod)
    return pod if found is None else next(part for part in found.groups() if part is not None)
