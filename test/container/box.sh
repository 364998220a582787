#!/bin/sh
# The part of the container harness that must outlive the test process, to clean up after it.
#
#   box.sh hold TREE CGROUP   run under `unshare --mount`: makes the container's file system and waits
#                             until its standard input ends (the owner closed it, or died), then clears up
#   box.sh clear CGROUP       ends everything in a cgroup and removes it
#
# Everything is mounted in this process's own mount namespace, so there is nothing to unmount: the mounts
# go away with the last process in it. A cgroup is the only thing that stays behind by itself.
set -eu

# CGROUP as this process sees it. cgroup.kill came with Linux 5.14; the loop is for Debian 11's kernel,
# and for processes that were forked meanwhile.
clear_cgroup() {
  tries=0
  while [ -d "$1" ]; do
    echo 1 2>/dev/null >"$1/cgroup.kill" ||
      find "$1" -name cgroup.procs -exec cat {} + 2>/dev/null | xargs -r kill -KILL 2>/dev/null || :
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || :
    tries=$((tries + 1))
    if [ -d "$1" ]; then
      [ "$tries" -lt 500 ] || { echo "processes in $1 do not die" >&2; return 1; }
      sleep 0.02
    fi
  done
}

hold() {
  # a /run of our own: nspawn's locks and propagation directories stay off the machine's
  mount -t tmpfs -o mode=0755 unit-secrets-test /run
  mkdir -p /run/box/lower /run/box/upper /run/box/work /run/box/root
  # bound first, since overlay's options cannot have every path as it is
  mount --bind "$1" /run/box/lower
  mount -t overlay -o lowerdir=/run/box/lower,upperdir=/run/box/upper,workdir=/run/box/work \
    unit-secrets-test /run/box/root
  # on machines with cgroup v1 beside v2, nspawn and the systemd in it shall see v2 alone
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir "/sys/fs/cgroup$2"
  echo ready
  # its answer is read, a signal to the test run's terminal is not ours: what counts is the end of input
  trap '' INT TERM HUP
  cat >/dev/null
  clear_cgroup "/sys/fs/cgroup$2"
}

command=$1
shift
case $command in
  hold) hold "$@" ;;
  clear) clear_cgroup "$@" ;;
  *) echo "box.sh: unknown command $command" >&2; exit 2 ;;
esac
