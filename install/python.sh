#!/usr/bin/env bash
# The Python environment: .venv with the versions of constraints.txt, h5py built on parallel HDF5, Horovod built on MPI and TensorFlow.
# Wheels built from source are kept outside the checkout in $MPICAMNET_CACHE (default ~/.cache/mpicamnet), in a folder named after everything
# that shapes them, so that a second clone need not build. Every step is skipped where its outcome is there.
# Called by `make setup`, the Dockerfile and singularity.def.   usage: install/python.sh [VENV] [EXTRA,EXTRA | none]
set -euo pipefail
cd "$(dirname "$0")/.."
. install/find.sh
venv=$(realpath -m "${1:-.venv}")
extras=${2:-dev}
extra_words="[$extras]"
[ "$extras" != none ] || extra_words=
python=$(find_python)
stamp=$venv/.mpicamnet-setup
hdf5=$(hdf5_dir)
state=$(cat constraints.txt setup.cfg pyproject.toml install/*.sh "$hdf5"/include/H5pubconf*.h |
  cat - <(echo "$python $extras $PWD $hdf5"; mpicc -show) | sha256sum)
[ "$(cat "$stamp" 2>/dev/null)" != "$state" ] || exit 0

pinned() { sed -n "s/^$1==//p" constraints.txt; }
key=$({ "$python" -VV; uname -m; mpicc -show; mpirun --version | head -n 1; echo "$hdf5"; cat "$hdf5"/include/H5pubconf*.h
  grep -E '^(h5py|horovod|numpy|mpi4py|tensorflow_cpu|Cython)==' constraints.txt; sed -n '/^build_/,/^}/p' install/python.sh; } | sha256sum | cut -c1-16)
cache=${MPICAMNET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mpicamnet}
wheels=$cache/wheels-$key
work=$(mktemp -d)
log=$venv/setup.log
trap 'rm -rf "$work"' EXIT
mkdir -p "$venv" "$wheels"
exec 9>"$cache/lock"
flock -n 9 || { echo "waiting for another set-up that uses $cache ..."; flock 9; } # two clones that set up at once: one builds, the other uses it

step() { # step TEXT COMMAND...: one line with its time; the log's end only where it fails
  local begun=$SECONDS text=$1
  shift
  printf '%s ... ' "$text"
  if ! { echo "## $text"; "$@"; } >>"$log" 2>&1 </dev/null; then
    printf 'failed\n'
    tail -n 30 "$log"
    echo "setup: stopped at: $text; whole log: $log; mend it and say make setup again, it goes on from here" >&2
    exit 1
  fi
  printf '%d s\n' $((SECONDS - begun))
}
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }

# The `+mpi` in a version is a guard: pip would rather have the index's serial h5py of the same number; pinned to +mpi it can not.
source_of() { # source_of NAME VERSION
  pip download --no-cache-dir --no-deps --no-build-isolation --no-binary=:all: -d "$work" "$1==$2"
  tar xzf "$work/$1-$2.tar.gz" -C "$work"
}
build_h5py() {
  local v=${1%+mpi}
  source_of h5py "$v"
  sed -i "s/^VERSION = '$v'/VERSION = '$v+mpi'/" "$work/h5py-$v/setup.py"
  printf '\n[build_ext]\nparallel = 2\n' >>"$work/h5py-$v/setup.cfg" # older pips (Debian 12's) take one --config-settings only
  CC=mpicc HDF5_MPI=ON HDF5_DIR=$hdf5 H5PY_SETUP_REQUIRES=0 CFLAGS="-O1 -g0" \
    pip wheel --no-cache-dir --no-deps --no-build-isolation -w "$wheels" "$work/h5py-$v"
}
build_horovod() {
  local v=${1%+mpi}
  source_of horovod "$v"
  # TensorFlow 2.21 ships without a header that this file (XLA ops, for GPUs only) includes.
  sed -i '/xla_mpi_ops\.cc/d' "$work/horovod-$v/horovod/tensorflow/CMakeLists.txt"
  HOROVOD_LOCAL_VERSION=mpi HOROVOD_WITH_MPI=1 HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITHOUT_GLOO=1 HOROVOD_WITHOUT_PYTORCH=1 \
    HOROVOD_WITHOUT_MXNET=1 HOROVOD_CPU_OPERATIONS=${HOROVOD_CPU_OPERATIONS:-MPI} MAKEFLAGS=-j2 \
    pip wheel --no-cache-dir --no-deps --no-build-isolation -w "$wheels" "$work/horovod-$v"
}
built() { # built NAME: build its wheel where the cache lacks it, install it
  local v
  v=$(pinned "$1")
  ls "$wheels/$1-$v"-*.whl >/dev/null 2>&1 || step "build $1 $v" "build_$1" "$v"
  # A wheel of the same version, but built for another MPI or HDF5, is another wheel.
  [ "$(cat "$venv/.built-$1" 2>/dev/null)" = "$key" ] || step "install $1 $v" pip install --no-deps --force-reinstall "$wheels/$1-$v"-*.whl
  echo "$key" >"$venv/.built-$1"
}

[ -x "$venv/bin/python" ] || step "virtual environment" "$python" -m venv "$venv"
built_with=(setuptools wheel Cython pkgconfig numpy mpi4py cloudpickle psutil PyYAML packaging)
step "build tools" pip install -c constraints.txt "${built_with[@]}"
built h5py
step "TensorFlow and the rest" pip install -c constraints.txt --find-links "$wheels" tensorflow-cpu
built horovod
step "mpicamnet" pip install -c constraints.txt --find-links "$wheels" --no-build-isolation -e ".${extra_words}"
step "check" "$venv/bin/python" -m pip check
step "parallel HDF5" "$venv/bin/python" -c '
import h5py, os, tempfile
assert h5py.get_config().mpi, "h5py is serial: it must be built on parallel HDF5"
from mpi4py import MPI
path = os.path.join(tempfile.mkdtemp(), "f.h5")
h5py.File(path, "w", driver="mpio", comm=MPI.COMM_WORLD).close() # fails where h5py and mpi4py are built on different MPIs'
echo "$state" >"$stamp"
