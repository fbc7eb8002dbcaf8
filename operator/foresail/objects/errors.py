"""What can go wrong between us and the API server.

ObjectsError
├── ApiAway      no answer, a broken one, or the server's own trouble: tried again
├── Refused      it answered and will not (401, 403, 400 …): tried again, since rights can be granted later
├── NotServed    it knows no such kind (404): looked for again now and then
└── Gone         the version asked for is no longer kept (410): everything is listed anew
"""

from __future__ import annotations


class ObjectsError(Exception):
    """Reading objects failed."""


class ApiAway(ObjectsError):
    """The API server does not answer, or not as it should."""


class Refused(ObjectsError):
    """The API server will not tell us."""


class NotServed(ObjectsError):
    """The cluster has no such kind."""


class Gone(ObjectsError):
    """Too old a version: list again."""
