#!/usr/bin/env bash
# Inside an image that is being built, as root, with the checkout's files in /opt/mpicamnet: system packages, .venv, and nothing else left behind.
# Called by the Dockerfile and singularity.def.
set -euo pipefail
cd "$(dirname "$0")/.."
export MPICAMNET_CACHE=/tmp/mpicamnet-cache PIP_NO_CACHE_DIR=1
install/system.sh
install/python.sh .venv none
.venv/bin/python -m compileall -q mpicamnet
# What only the building wanted: some 300 MB.
apt-get purge -y -qq --auto-remove cmake make g++ python3-dev >/dev/null
apt-get clean
rm -rf "$MPICAMNET_CACHE" /var/lib/apt/lists/* .venv/setup.log
chmod -R a+rX .
