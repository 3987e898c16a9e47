"""The errors a user can cause. Each message says what was got, what was expected, what to do.

Command lines print one as a single line and exit with code 2; anything else that
escapes is a defect of ours and shows its traceback.
"""


class PandaError(Exception):
    """Something the user gave cannot be used. `str(error)` is one clear line."""


def missing(what: str, extra: str) -> PandaError:
    """what: who needs which library. extra: of pyproject's optional dependencies, which brings it."""
    return PandaError(f"{what}: {install(extra)}")


def install(extra: str) -> str:
    """The command that installs an extra."""
    return f'pip install "panda-edge[{extra}]"'


class BundleError(PandaError):
    """A bundle is missing, incomplete, altered, or of an unknown version."""


class ImageError(PandaError):
    """An image is missing, not an image, truncated, or beyond the size limits."""


class DiskError(PandaError):
    """A disk takes nothing any more, full or read-only: what comes next would fail, too."""


class FullDiskError(DiskError):
    """A disk is full. It may be freed, so who goes on for months tries again."""


class DataError(PandaError):
    """A data set folder does not have one of the layouts that panda-train reads."""
