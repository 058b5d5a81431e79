#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The crash matrix of rotations: each end at each point that a run has.

Every scenario is run once to record its points (crash_lab.py). Then it is run
again for each point that no scenario before had and each fault: the daemon, its
token helper or guardianctl is killed there, or the CA stops for a moment.
Afterwards resuming must end in a state in which the daemon, the token and
the CA agree, and nobody edits anything. An arrow in daemon/rotation.c that no
run went along is a failure.

Arguments: the name of a scenario, or "all", and what the names of cases have in
them, instead of everything.
"""

import queue
import re
import sys
import threading
import time

from crash_lab import BoundWorld, Common, CrashWorld, new_world
from crash_scenarios import SCENARIOS, is_by_chance
from lab import ROOT, Failed, Lab

FAULTS = ("daemon", "helper", "guardianctl", "ca")
WORLDS = {CrashWorld: 10, BoundWorld: 4}
ZONES = 60


def arrows():
    """What rotation_may_go() allows, as it stands in the code."""
    text = (ROOT / "daemon/rotation.c").read_text()
    body = re.search(r"arrows\[ROTATION_STATE_COUNT\] = \{(.*?)\n    \};", text,
                     re.DOTALL).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL)
    found = set()
    for state, right in re.findall(r"\[ROTATION_(\w+)\] =(.*?)(?=,\s*\[|,?\s*$)",
                                   body, re.DOTALL):
        for to in re.findall(r"TO\((\w+)\)", right):
            found.add((word(state), word(to)))
    if not found:
        raise Failed("no arrows in daemon/rotation.c")
    return found


def word(name):
    return name.lower().replace("_", "-")


class Matrix:
    def __init__(self, lab):
        self.common = Common(lab, ZONES)
        self.cases = {kind: queue.Queue() for kind in WORLDS}
        self.results = []
        self.moves, self.failed = set(), []
        self.lock = threading.Lock()
        self.recorded = {}

    # Worlds.

    def worker(self, kind, work):
        """@work(world) until it returns False; a world that failed is left to
        itself."""
        world = None
        try:
            while True:
                try:
                    world = world or new_world(kind, self.common)
                    if not work(world):
                        return
                except Exception as e:  # pylint: disable=broad-except
                    self.failed.append(str(e))
                    print(f"FAILED  {type(e).__name__}: {e}", flush=True)
                    if not world:
                        return
                    self.leave(world)
                    world = None
        finally:
            if world:
                self.leave(world)

    @staticmethod
    def leave(world):
        world.close()
        world.lab.__exit__(None, None, None)

    def side_by_side(self, works):
        """@works: (kind of world, work)"""
        threads = [threading.Thread(target=self.worker, args=w) for w in works]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    # Recording.

    def record(self, scenario):
        def work(world):
            if tried:
                return False
            tried.append(1)
            before = world.now()
            world.gate.note()
            scenario.drive(world)
            moves, points = world.gate.moves, world.gate.points
            world.gate.open()
            scenario.calm(world)
            row, said = world.finish()
            world.agree(before, scenario.keeps)
            if row["state"] != scenario.ends:
                raise Failed(f"{scenario.name}: {row['state']}, not "
                             f"{scenario.ends}: {row} {said}")
            self.recorded[scenario.name] = points
            with self.lock:
                self.moves |= set(moves)
            return False

        tried = []
        return work

    def plan(self, scenarios):
        """Cases: each point once, whichever scenario has it first."""
        seen, n = set(), 0
        for scenario in scenarios:
            for point in self.recorded.get(scenario.name, ()):
                if is_by_chance(point) or (not scenario.again(point) and (
                        point in seen or not scenario.wants(point))):
                    continue
                seen.add(point)
                for fault in FAULTS:
                    if all(a in f"{scenario.name} {fault} {point}"
                           for a in sys.argv[2:]):
                        self.cases[scenario.world].put(
                            (scenario, point, fault))
                        n += 1
        return len(seen), n

    # Cases.

    def run_cases(self, world):
        try:
            scenario, point, fault = self.cases[type(world)].get_nowait()
        except queue.Empty:
            return False
        what = f"{scenario.name}: {fault} ends {point}"
        begin = time.monotonic()
        try:
            self.run_case(world, scenario, point, fault)
        except Exception as e:
            raise Failed(f"{what}: {type(e).__name__}: {e}") from e
        self.results.append((time.monotonic() - begin, what))
        return True

    @staticmethod
    def run_case(world, scenario, point, fault):
        before = world.now()
        world.gate.note(point, world.fault(fault))
        said = scenario.drive(world)
        fired = world.gate.fired
        world.gate.open()
        scenario.calm(world)
        _, more = world.finish()
        world.agree(before, scenario.keeps)
        if world.wrong:
            raise Failed(f"{world.wrong.pop()}: {said} {more}")
        if not fired:
            raise Failed(f"the point did not come: {said} {more}")

    def missing(self):
        return sorted(f"{a} -> {b}" for a, b in arrows() - self.moves)


def chosen():
    named = [s for s in SCENARIOS if s.name in sys.argv[1:2]]
    return named or SCENARIOS, not named


def main():
    begin = time.monotonic()
    scenarios, all_of_them = chosen()
    with Lab("acme-guardian-matrix") as lab:
        m = Matrix(lab)
        m.side_by_side([(s.world, m.record(s)) for s in scenarios])
        missing = m.missing() if all_of_them else []
        points, n = m.plan(scenarios)
        print(f"recorded after {time.monotonic() - begin:.0f} s: {points} "
              f"points in {len(scenarios)} runs, {len(m.moves)} transitions, "
              f"{n} cases", flush=True)
        m.side_by_side([(kind, m.run_cases) for kind, most in WORLDS.items()
                        for _ in range(min(most, m.cases[kind].qsize()))])
    for took, what in sorted(m.results)[-5:]:
        print(f"        {took:.1f} s: {what}")
    for line in missing:
        print(f"FAILED  no run went {line}")
    print(f"crash matrix: {points} points x {len(FAULTS)} faults, "
          f"{len(m.results)} of {n} cases ended well, "
          f"{time.monotonic() - begin:.0f} s", flush=True)
    return 1 if m.failed or missing or len(m.results) < n else 0


if __name__ == "__main__":
    sys.exit(main())
