"""What can go wrong before a scan starts.

    DetectorsError
    └── ConfigurationError   a detector, a model or a plug-in cannot be loaded as asked

A failure *while* scanning is never an exception: it is a reason code in `Evidence.failures`, so that one bad document
cannot stop the night and no failure can pass for "nothing found" (invariant 1).
"""

from __future__ import annotations


class DetectorsError(Exception):
    """Base of this package's errors. Messages never carry document text."""


class ConfigurationError(DetectorsError):
    """A detector cannot be loaded; the message says which, why, and what to install or change."""
