"""Runs commands interleaved and prints their wall times, in seconds, as JSON.

Standard input: {"rounds": N, "commands": [{"argv": [...], "env": {...}, "clear": DIR}, ...]}
Output: one list of times per command. `clear` is emptied before each run, as systemd does before generators.

In Python for posix_spawn(3): starting a program from Node costs more than the programs that are measured.
"""

import json
import os
import shutil
import sys
import time

request = json.load(sys.stdin)
quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
times = [[] for _ in request["commands"]]
for _ in range(request["rounds"]):
    for command, found in zip(request["commands"], times):
        shutil.rmtree(command["clear"], ignore_errors=True)
        os.mkdir(command["clear"])
        begin = time.perf_counter()
        pid = os.posix_spawn(command["argv"][0], command["argv"], command["env"], file_actions=quiet)
        _, status = os.waitpid(pid, 0)
        found.append(time.perf_counter() - begin)
        if status != 0:
            sys.exit(f"{command['argv'][0]} failed with wait status {status}")
json.dump(times, sys.stdout)
