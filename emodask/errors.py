"""The errors people meet: each message says what was found, where, and what would be right."""

from __future__ import annotations


class EmodaskError(Exception):
    """Base of all errors that emodask raises on purpose; the command line prints the message alone.

    Attributes
    ----------
    exit_code : int
        What the command line exits with: 2 for misuse, 1 for work that failed.
    """

    exit_code = 1


class UsageError(EmodaskError):
    """An argument or option that cannot be meant."""

    exit_code = 2


class JobError(EmodaskError):
    """A job file with an unknown key or an impossible value."""

    exit_code = 2


class SourceError(EmodaskError):
    """A source that is absent, empty, or not what it claims to be."""

    exit_code = 2


class UnreachableError(SourceError):
    """Bytes that could not be fetched this time, and may be the next: a time-out, a server's 503.

    A clip whose media is unreachable stays pending; it has not failed.
    """

    exit_code = 1


class DownloadError(EmodaskError):
    """A file that could not be fetched whole and right, or has no place to go."""


class ClusterError(EmodaskError):
    """A scheduler or workers that went away, or are not what the job needs."""


class StoreError(EmodaskError):
    """A store that is not one, is damaged, or was written under other settings."""

    exit_code = 2


class UnreachableStoreError(StoreError):
    """A store whose server does not answer or whose disk is full; what was committed is kept.

    Running the same command again goes on.
    """

    exit_code = 1


class BundleError(EmodaskError):
    """A bundle that is not one, is damaged, or lacks what a prediction needs."""

    exit_code = 2


class BundleWriteError(BundleError):
    """A bundle that could not be written: the disk is full, or a server does not answer."""

    exit_code = 1


class MediaError(EmodaskError):
    """A media file that cannot be read or decoded."""


class TooLongError(MediaError):
    """A media file longer than a clip may be."""


class FeatureError(EmodaskError):
    """Decoded media from which a feature cannot be computed."""


class EvaluationError(EmodaskError):
    """Clips on which a model cannot be fitted or evaluated."""


class ProtocolError(EvaluationError):
    """A protocol that a job names and its clips do not allow."""

    exit_code = 2
