# shellcheck shell=bash
# Sourced by every job: how the program is started on this cluster. Edit it once; then the jobs need their #SBATCH lines only.
# Jobs are submitted from the top of the checkout, and relative paths start there.

# 1. The program. In a checkout, with the modules that were loaded for `make setup`:
# module load gcc openmpi hdf5-parallel python
# shellcheck disable=SC2034 # the jobs use it
program=(.venv/bin/mpicamnet)
# or in the container (`make image`), where srun starts a container per rank and the host's PMIx lets them find each other. Bind the slides,
# `work`, and where the host's SLURM keeps PMIx's files (SlurmdSpoolDir in `scontrol show config`); --nv only where nodes have NVIDIA GPUs:
# program=(apptainer run --nv --bind /data,/scratch,/var/spool/slurmd mpicamnet.sif)

# 2. MPI. Ranks find each other by PMIx (`srun --mpi=list` says what there is); a rank that dies takes the job step with it.
export SLURM_MPI_TYPE=pmix SLURM_KILL_BAD_EXIT=1
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1} # since 22.05 srun does not take it from the job

# 3. Threads: a rank per core, one thread each (TensorFlow's are `train.threads` and `infer.threads`).
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=2

# 4. MPI-IO and HDF5. `work` has a lock of its own, and file systems without flock refuse HDF5's. Stripe `work` before the first run, e.g.
# lfs setstripe -c 16 -S 4M runs/camelyon17, with `extract.alignment: 4096`; MPI-IO hints go to `extract.hints`.
export HDF5_USE_FILE_LOCKING=FALSE
# export OMPI_MCA_io=romio321 # where OMPIO is slow, as on older Lustre

# leave CODE: end the job as the program ended. 3 (done, slides were left out) lets the chain go on. 75 (stopped by a signal: a rerun goes on
# where it was) puts the job back into the queue, unless it was cancelled, or SLURM, which preempts it, does so itself.
leave() {
  local job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
  job=${job:-$SLURM_JOB_ID}
  [ "$1" != 3 ] || exit 0
  if [ "$1" = 75 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 50 ] && [ "$(squeue -h -j "$job" -o %T)" = RUNNING ]; then
    echo "requeued after $((${SLURM_RESTART_COUNT:-0} + 1)) starts"
    scontrol requeue "$job" && sleep 120 # SLURM ends this script
  fi
  exit "$1"
}
