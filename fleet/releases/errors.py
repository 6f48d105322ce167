"""What may be wrong with a release: each a refusal of one line."""

from fleet.errors import Refusal


class ReleaseError(Refusal):
    """A release cannot be made, taken in or changed."""


class UnknownRelease(ReleaseError, LookupError):
    """There is no release of that sequence."""


class BundleError(ReleaseError, ValueError):
    """A file is no bundle, or what it holds does not go together."""


class SigningKeyError(ReleaseError):
    """A key cannot be used, or is of the wrong kind."""


class SignatureError(ReleaseError):
    """The signatures that there are do not suffice."""
