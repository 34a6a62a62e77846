#!/usr/bin/env bash
# Way 2 of the paper, as a job array: a slide per task.
#   job=$(sbatch --parsable jobs/ways/2-slides-array.sh CONFIG); sbatch --dependency=afterok:$job jobs/merge.sh CONFIG --set extract.sampling=random
# 2-slides-srun.sh replaces it. Edit: --array and shares= (both: how many slides; fewer shares have several slides each), partition, time.
#SBATCH --job-name=slides --array=1-50 --partition=cpu --ntasks=1 --time=01:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%A-%a.log
shares=50
set -u
. jobs/env.sh
srun "${program[@]}" extract "$@" --set extract.sampling=random --set extract.shard="$SLURM_ARRAY_TASK_ID/$shares"
leave $?
