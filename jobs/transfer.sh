#!/usr/bin/env bash
# A folder of slides to another site.
#   jobs/transfer.sh scp     FOLDER HOST:FOLDER               one stream, begins anew each time: for little
#   jobs/transfer.sh rsync   FOLDER HOST:FOLDER               one stream, goes on where it was stopped
#   jobs/transfer.sh streams FOLDER HOST:FOLDER [N]           N rsyncs at once [4], each with files of its own: for many files over a long way
#   jobs/transfer.sh gridftp FOLDER gsiftp://HOST/FOLDER [N]  N TCP streams per file [4]: for large files over a long way; needs grid-proxy-init
# What FOLDER holds comes to stand right in the other. Edit: nothing; SSH_CONFIG names another configuration of ssh than your own.
set -eu
if [ $# -lt 3 ] || [ ! -d "$2" ]; then
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
from=$2 to=$3 n=${4:-4}
ssh=(ssh ${SSH_CONFIG:+-F "$SSH_CONFIG"})
export RSYNC_RSH=${ssh[*]}
case $1 in
  scp) "${ssh[@]}" "${to%%:*}" mkdir -p "${to#*:}" && scp -q -r -p ${SSH_CONFIG:+-F "$SSH_CONFIG"} "$from/." "$to" ;;
  rsync) rsync -a --partial --mkpath "$from/" "$to/" ;;
  streams)
    "${ssh[@]}" "${to%%:*}" mkdir -p "${to#*:}"
    cd "$from"
    # The largest first, so that none is left alone at the end.
    # shellcheck disable=SC2016 # the inner shell expands them
    find . -type f -printf '%s %P\0' | sort -z -r -n | cut -z -d ' ' -f 2- | xargs -0 -r -n 4 -P "$n" sh -c 'rsync -aR --partial "$@" "$0"' "$to/"
    ;;
  gridftp) globus-url-copy -q -r -cd -fast -p "$n" -cc 2 -rst "file://$(realpath "$from")/" "${to%/}/" ;;
  *) exec "$0" ;; # says how it is used
esac
