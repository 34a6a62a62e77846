"""MPI lives here and nowhere else: communicators, fences, shares and rounds, gathers, clock, progress.

This room knows nothing of slides, patches or networks. Importing it does not start MPI: `start` does.
"""
from .clock import Clock
from .communicators import Comm, Communicators, abort, abort_on_uncaught, finish, start, wait_asleep
from .exchange import Exchange
from .fence import agree, fence
from .gather import allgather_list, gather_rows
from .log import Log
from .progress import Progress, slowest
from .rounds import Rounds, Standing
from .shares import Share, contiguous_shares, reach_of
from .signals import Signals
from .spread import among, node_leaders, spread
from .turn import Turn

__all__ = [
    "Clock", "Comm", "Communicators", "Exchange", "Log", "Progress", "Rounds", "Share", "Signals", "Standing", "Turn", "abort", "abort_on_uncaught", "agree",
    "allgather_list", "among", "contiguous_shares", "fence", "finish", "gather_rows", "node_leaders", "reach_of", "slowest", "spread", "start",
    "wait_asleep",
]
