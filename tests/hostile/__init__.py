"""A corpus of hostile, broken and unusual media: what each must come to is stated beside it."""

from tests.hostile.case import Case
from tests.hostile.corpus import corpus, write

__all__ = ["Case", "corpus", "write"]
