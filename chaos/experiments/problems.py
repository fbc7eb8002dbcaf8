"""What can go wrong with an experiment, as errors whose names state the condition."""

from __future__ import annotations


class ExperimentError(Exception):
    """Something about an experiment on a live cluster; the message says what and what to do."""


class PlanRefused(ExperimentError):
    """The scenario cannot be carried out live; one line for each field with its reason."""


class ArmUnknown(ExperimentError):
    """No live arm has this name; the message lists those that exist."""


class VerbFailed(ExperimentError):
    """The cluster did not do what an injection or an undo asked for. Worth another try."""


class InjectionFailed(ExperimentError):
    """A fault could not be begun: the run would compare nothing."""


class RollbackIncomplete(ExperimentError):
    """Something that was done to the cluster could not be taken back; the journal still knows it."""


class NotSteady(ExperimentError):
    """The shop was not well before the experiment began, so that nothing can be said about a fault."""


class RunAborted(ExperimentError):
    """The run was ended early since the shop was worse off than allowed."""


class RunFailed(ExperimentError):
    """A run cannot be judged: something that it needs is missing."""


class FolderInvalid(ExperimentError):
    """A folder of results does not belong to this experiment, or cannot be read."""
