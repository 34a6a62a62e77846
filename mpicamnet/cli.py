"""The words of the command line: which command, with which config. Nothing here imports MPI, TensorFlow or HDF5."""
from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from . import synth
from .completion import SHELLS, PrintCompletion
from .errors import DONE, UserError
from .examples import EXAMPLES as OF_COMMANDS

EXAMPLES = """examples:
  mpicamnet plan configs/camelyon17.yaml          what a run would do: rows, time, bytes, memory
  mpirun -n 2 mpicamnet run configs/demo.yaml     every stage, on two ranks; a second call does only what is missing
  srun mpicamnet run camelyon17.yaml              the same on a cluster, on as many ranks as the job has
  mpicamnet train c.yaml --set train.epochs=20    one stage, with a key changed
"""
STAGES = {
    "extract": "slides to patches.h5", "train": "patches to a network", "infer": "slides and network to heatmaps", "evaluate": "how good the heatmaps are",
    "explain": "why: maps of attribution, panels", "report": "one page of all that was made, report.html",
}


class Parser(argparse.ArgumentParser):
    """argparse with our one-line errors."""

    def error(self, message: str) -> NoReturn:
        key = message.startswith("unrecognized") and "=" in message  # a key of the config, without the word before it
        raise UserError(message, "", "change keys of the config by `--set KEY=VALUE`" if key else f"see `{self.prog} --help`")


def parser() -> argparse.ArgumentParser:
    p = Parser(prog="mpicamnet", description="From whole-slide images to tumour heatmaps, measures and explanations, as one MPI program.",
               epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--version", action="version", version=f"mpicamnet {_version()}" if "--version" in sys.argv else "mpicamnet")
    p.add_argument("--print-completion", action=PrintCompletion, choices=SHELLS, stages=tuple(STAGES), metavar="SHELL",
                   help="print what completes commands, options and files in bash or zsh: source <(mpicamnet --print-completion bash)")
    commands = p.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = _with_config(commands.add_parser("run", help="every stage in order; skips what is done, goes on with what is not"))
    run.add_argument("--only", action="append", metavar="STAGE", help="only this stage (may be said again)")
    run.add_argument("--from", dest="first", metavar="STAGE", help="from this stage on")
    run.add_argument("--force", metavar="STAGE", help="make this stage anew, though it is done")
    run.set_defaults(process=_run)
    for name, words in STAGES.items():
        one = _with_config(commands.add_parser(name, help=words))
        one.set_defaults(process=_stage)
    merge = _with_config(commands.add_parser("merge", help="put the shares that jobs with `extract.shard` made together to one patches.h5"))
    merge.set_defaults(process=_merge)
    stage = _with_config(commands.add_parser("stage", help="copy the slides to the nodes' own disks, each read once and sent to all nodes"))
    stage.add_argument("--to", metavar="DIR", help="the folder of the copies on every node [data.stage]")
    stage.set_defaults(process=_copy)
    verify = _with_config(commands.add_parser("verify", help="do the files in `work` still hold what was written? computes every digest anew"))
    verify.set_defaults(process=_verify)
    plan = _with_config(commands.add_parser("plan", help="what a run would do, without MPI: work, time, bytes and memory by stage, and what is wrong with it"))
    plan.add_argument("--ranks", type=int, default=1, metavar="N", help="for this many ranks [1]")
    plan.set_defaults(process=_plan)
    out = _with_config(commands.add_parser("export", help="write patches.h5 as the original program (PROCESS_L1) would have"))
    out.add_argument("--to", type=Path, required=True, metavar="FILE", help="HDF5 file to make; channels are B, G, R in that layout")
    out.add_argument("--level", type=int, default=5, metavar="L", help="places are written in px of this level, as row and column [5]")
    out.set_defaults(process=_export)
    into = commands.add_parser("import", help="make a patches.h5 of a file of the original program (PROCESS_L1)")
    into.add_argument("file", type=Path, metavar="FILE", help="its patches.h5 or patches.hdf5, either layout")
    into.add_argument("--to", type=Path, required=True, metavar="FILE", help="the patches.h5 to make")
    into.set_defaults(process=_import)
    doctor = commands.add_parser("doctor", help="is this installation, and this job, fit for a run? what is wrong, and how to mend it")
    doctor.add_argument("config", type=Path, nargs="?", metavar="CONFIG", help="also look at what a run of this config needs")
    doctor.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key")
    doctor.set_defaults(process=_doctor)
    drawn = commands.add_parser("synth", help="draw a cohort of slides to try things on")
    synth.add_arguments(drawn)
    drawn.set_defaults(process=synth.run)
    weights = commands.add_parser("weights", help="which ImageNet weights each network wants, and what is there")
    weights.add_argument("model", nargs="?", metavar="MODEL", help="only this network, e.g. resnet50")
    weights.add_argument("--dir", type=Path, metavar="DIR", help="folder to look in, as `train.weights_dir` [~/.keras/models]")
    weights.set_defaults(process=_weights)
    for action in commands._choices_actions:
        _teach(commands.choices[action.dest], action.help or "", OF_COMMANDS.get(action.dest))
    return p


def _teach(command: argparse.ArgumentParser, does: str, examples: str | None) -> None:
    """Let a command's `--help` begin with what it does and end with examples."""
    command.description = command.description or does
    if examples is not None:
        command.epilog, command.formatter_class = f"examples:\n{examples}\n", argparse.RawDescriptionHelpFormatter


def _with_config(p: argparse.ArgumentParser) -> argparse.ArgumentParser:
    p.add_argument("config", type=Path, metavar="CONFIG", help="YAML file, see configs/")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key, e.g. --set train.epochs=3")
    loud = p.add_mutually_exclusive_group()
    loud.add_argument("--verbose", dest="volume", action="store_const", const="verbose", default="normal", help="more lines, and tracebacks")
    loud.add_argument("--quiet", dest="volume", action="store_const", const="quiet", help="errors and warnings only")
    return p


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version("mpicamnet")


def _run(a: argparse.Namespace) -> int:
    from . import program

    return program.run(program.names_of(a.first, a.only, a.force), a.config, a.set, a.volume, a.force)


def _stage(a: argparse.Namespace) -> int:
    from . import program

    return program.run([a.command], a.config, a.set, a.volume)


def _merge(a: argparse.Namespace) -> int:
    from . import program

    return program.merge(a.config, a.set, a.volume)


def _copy(a: argparse.Namespace) -> int:
    from . import program

    return program.stage_slides(a.config, [*a.set, *([f"data.stage={a.to}"] if a.to else [])], a.volume)


def _verify(a: argparse.Namespace) -> int:
    from . import program

    return program.verify(a.config, a.set, a.volume)


def _plan(a: argparse.Namespace) -> int:
    from .plan.command import print_plan

    return print_plan(a.config, a.set, a.ranks)


def _export(a: argparse.Namespace) -> int:
    from . import config as cfg
    from .patches.process_l1 import export_patches

    print(*export_patches(Path(cfg.load(a.config, a.set).work) / "patches.h5", a.to, a.level), sep="\n")
    return DONE


def _import(a: argparse.Namespace) -> int:
    from .patches.process_l1 import import_patches

    print(*import_patches(a.file, a.to), sep="\n")
    return DONE


def _doctor(a: argparse.Namespace) -> int:
    from . import doctor

    return doctor.run(a.config, a.set)


def _weights(a: argparse.Namespace) -> int:
    from .train.weights_command import print_weights

    return print_weights(a.model, a.dir)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command in `words` (default: the command line) and return the exit code."""
    # Where colorama is installed Numba would have it end every rank with escape codes: mpirun's ranks think that they are on a terminal.
    os.environ.setdefault("NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING", "1")
    # Numba and TensorFlow make half a million objects as they start, none of them garbage, and Python would look through them all again and again.
    gc.set_threshold(200_000)
    try:
        a = parser().parse_args(words)
        code: int = a.process(a)
        return code
    except UserError as e:
        # Before MPI every rank comes here with the same words: one says them.
        if _first_rank():
            print(f"mpicamnet: error: {e}", file=sys.stderr, flush=True)
        _leave_together()
        return e.code
    finally:
        gc.freeze()  # nor twice more as it ends: a sixth of all that a rank does besides its work


def _leave_together() -> None:
    """Give the other ranks time to come here too, so that all leave with the same code: a launcher ends all when the first leaves, and srun then
    passes on the code of those that it ended."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if not _first_rank():
        time.sleep(3)  # the first to leave is the one that said why
    elif "SLURM_PROCID" in os.environ and "OMPI_COMM_WORLD_RANK" not in os.environ:  # by srun
        time.sleep(1)


def _first_rank() -> bool:
    return all(os.environ.get(name, "0") == "0" for name in ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"))
