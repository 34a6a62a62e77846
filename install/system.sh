#!/usr/bin/env bash
# System packages: MPI, parallel HDF5, compiler, make, CMake, Python headers.
# As root on Debian/Ubuntu: installs what is missing. Otherwise: says exactly what is missing, and how to get it.
# Prints nothing where all is there. Called by `make setup`, the Dockerfile and singularity.def.
# `install/system.sh tests`: a small SLURM, a browser and shellcheck, which a part of the tests wants; without them it is skipped, so nothing here is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
. install/find.sh

if [ "${1:-}" = tests ]; then
  wanted=()
  while read -r command packages; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$command" >/dev/null || wanted+=("$packages")
  done <<'LIST'
slurmctld slurmctld slurm-wlm-basic-plugins libpmix2
slurmd slurmd
sbatch slurm-client
munged munge
ip iproute2
pgrep procps
shellcheck shellcheck
sshd openssh-server
ssh openssh-client
rsync rsync
globus-gridftp-server globus-gridftp-server-progs
globus-url-copy globus-gass-copy-progs
chromium chromium
LIST
  [ ${#wanted[@]} -gt 0 ] || exit 0
  lacking=("${wanted[@]}")
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq >/dev/null 2>&1; then
    lacking=()
    for packages in "${wanted[@]}"; do # each by itself: not every distribution has all of them
      # shellcheck disable=SC2086  # words are package names
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null 2>&1 || lacking+=("$packages")
    done
  fi
  [ ${#lacking[@]} -eq 0 ] || echo "some tests will be skipped: for them, install ${lacking[*]}"
  exit 0
fi

missing=()        # Debian packages
modules=()        # what a cluster calls them
need() { missing+=("$1"); modules+=("$2"); }

{ command -v mpicc && command -v mpirun; } >/dev/null || need "openmpi-bin libopenmpi-dev" "an MPI (mpicc, mpirun), e.g. openmpi"
[ -n "$(hdf5_dir)" ] || need libhdf5-openmpi-dev "HDF5 built parallel with that MPI, e.g. hdf5/1.12-mpi (then set HDF5_DIR)"
command -v make >/dev/null || need make "make"
command -v cmake >/dev/null || need cmake "cmake"
command -v g++ >/dev/null || need g++ "a C++17 compiler, e.g. gcc"
if python=$(find_python); then
  "$python" -c 'import venv, ensurepip' 2>/dev/null || need python3-venv "a Python with venv"
  "$python" -c 'import os, sysconfig as s, sys; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))' ||
    need python3-dev "a Python with headers"
else
  need "python3 python3-venv python3-dev" "Python 3.11 to 3.13"
fi
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "system packages: ${missing[*]}"
  log=$(mktemp)
  # The package lists may be missing (a new machine) or old: renew them only when they are needed.
  # shellcheck disable=SC2048,SC2086  # words are package names
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${missing[*]}; } >"$log" 2>&1 ||
    { tail -n 20 "$log"; echo "setup: apt-get could not install: ${missing[*]}" >&2; exit 1; }
  rm -f "$log"
  find_python >/dev/null || { echo "setup: no Python 3.11 to 3.13 on this machine: install one, or set MPICAMNET_PYTHON" >&2; exit 1; }
  exit 0
fi
{
  echo "setup: missing on this machine:"
  for i in "${!missing[@]}"; do printf '  %-55s Debian/Ubuntu: %s\n' "${modules[$i]}" "${missing[$i]}"; done
  echo "On your own machine:  sudo apt-get install -y ${missing[*]}"
  echo "On a cluster:         load the modules (module avail mpi hdf5 gcc cmake python), set HDF5_DIR and MPICAMNET_PYTHON, and say make setup again"
} >&2
exit 1
