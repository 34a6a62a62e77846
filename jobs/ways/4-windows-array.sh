#!/usr/bin/env bash
# Way 4 of the paper, as a job array: dense, a task per slide and window of its tissue; here simply an equal share of all blocks.
#   job=$(sbatch --parsable jobs/ways/4-windows-array.sh CONFIG); sbatch --dependency=afterok:$job jobs/merge.sh CONFIG --set extract.sampling=dense
# 4-windows-srun.sh replaces it. Edit: --array and shares= (both the same), partition, time.
#SBATCH --job-name=windows --array=1-100 --partition=cpu --ntasks=1 --time=01:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%A-%a.log
shares=100
set -u
. jobs/env.sh
srun "${program[@]}" extract "$@" --set extract.sampling=dense --set extract.shard="$SLURM_ARRAY_TASK_ID/$shares"
leave $?
