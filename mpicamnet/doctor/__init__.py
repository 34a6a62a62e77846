"""Is this installation, and this job, fit for a run? One table: what was found, and how to mend what is wrong."""
from .command import run

__all__ = ["run"]
