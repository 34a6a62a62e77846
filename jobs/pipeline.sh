#!/usr/bin/env bash
# The whole chain, a job per stage, each where it belongs: extract on CPUs, train and infer on GPUs, the rest behind them.
#   jobs/pipeline.sh CONFIG [--set KEY=VALUE ...]        from the top of the checkout, on a login node
# A stage begins when the one before has ended well; where that fails, the stages behind it are cancelled. Say it again: what is done is skipped.
# Edit: the #SBATCH lines of each stage's script; the list below.
set -eu
. jobs/env.sh
[ -r "${1:-}" ] || { echo "usage: jobs/pipeline.sh CONFIG [--set KEY=VALUE ...]" >&2; exit 2; }
before=
for stage in extract train infer evaluate explain report; do
  "${program[@]}" "$stage" --help >/dev/null 2>&1 || { echo "$stage: not in this version"; continue; }
  before=$(sbatch --parsable --kill-on-invalid-dep=yes ${before:+"--dependency=afterok:$before"} "jobs/$stage.sh" "$@")
  echo "$stage: job $before"
done
