# shellcheck shell=bash
# Sourced by the install scripts: where Python and parallel HDF5 are.

# The Python that .venv is made from: $MPICAMNET_PYTHON, else python3 or the newest of 3.13 to 3.11 in PATH. Where that is the python of an
# activated environment (it may be .venv itself), the one that this was made from.
find_python() {
  local p
  for p in ${MPICAMNET_PYTHON:+"$MPICAMNET_PYTHON"} python3 python3.13 python3.12 python3.11; do
    if command -v "$p" >/dev/null && "$p" -c '
import os, sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13): sys.exit(1)
print(os.path.realpath(sys._base_executable))' 2>/dev/null; then
      return 0
    fi
    [ "$p" != "${MPICAMNET_PYTHON:-}" ] || { echo "setup: MPICAMNET_PYTHON=$p is not a Python 3.11 to 3.13" >&2; return 1; }
  done
  return 1
}

# Prefix of an HDF5 built parallel: $HDF5_DIR and the names that modules use, h5pcc in PATH, Debian's place. Empty where there is none.
hdf5_dir() {
  local d wrapper
  wrapper=$(command -v h5pcc || true)
  for d in "${HDF5_DIR:-}" "${HDF5_ROOT:-}" "${HDF5_HOME:-}" "${HDF5_BASE:-}" \
    "${wrapper:+$(dirname "$(dirname "$wrapper")")}" "/usr/lib/$(uname -m)-linux-gnu/hdf5/openmpi"; do
    if [ -n "$d" ] && grep -qs 'define H5_HAVE_PARALLEL 1' "$d"/include/H5pubconf*.h; then
      echo "$d"
      return 0
    fi
  done
}
