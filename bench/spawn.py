"""Runs commands interleaved and prints what each run took, as JSON.

Standard input: {"rounds": N, "commands": [{"path": FILE, "argv": [...], "env": {...}, "clear": [DIR...]}, ...],
  "evict": [FILE...], "memory": BOOL}
Output: one list per command, of [wall seconds, CPU seconds (user and system, all threads), 0], or with "memory",
for which GNU time must be installed, of [0, 0, peak memory in KiB].

`clear` are emptied before each run, as systemd does before generators. The files of `evict` are taken out of the
page cache before each run, as far as nobody else has them mapped.

In Python for posix_spawn(3): starting a program from Node costs more than the programs that are measured.
"""

import json
import os
import shutil
import subprocess
import sys
import time

request = json.load(sys.stdin)
quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]


def evict(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


# a child of this program would be told this program's memory as its own peak; bash, for the name, has 4 MB
measured = ["/usr/bin/time", "-f", "%M", "-o", "/dev/fd/1", "bash", "--norc", "-c", 'exec -a "$0" "$@" >/dev/null 2>&1']


def peak(path, argv, env):
    """In KiB."""
    found = subprocess.run(measured + argv[:1] + [path] + argv[1:], env=env, stdout=subprocess.PIPE, check=True)
    return int(found.stdout)


runs = [[] for _ in request["commands"]]
for _ in range(request["rounds"]):
    for command, found in zip(request["commands"], runs):
        path, argv, env = command["path"], command["argv"], command["env"]
        for directory in command["clear"]:
            shutil.rmtree(directory, ignore_errors=True)
            os.makedirs(directory)
        for file in request.get("evict", []):
            evict(file)
        if request.get("memory"):
            found.append([0, 0, peak(path, argv, env)])
            continue
        begin = time.perf_counter()
        pid = os.posix_spawn(path, argv, env, file_actions=quiet)
        _, status, usage = os.wait4(pid, 0)
        wall = time.perf_counter() - begin
        if status != 0:
            sys.exit(f"{path} failed with wait status {status}")
        found.append([wall, usage.ru_utime + usage.ru_stime, 0])
json.dump(runs, sys.stdout)
