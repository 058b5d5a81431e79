# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the tests' own peers are tried: a peer that lets everything pass would
make every test against it pass.
"""

from acme_client import NotValid, Problem
from lab import Failed, Lab, expect, run_cases


def refused(kind, call, *args, **more):
    """That the CA refuses @call, and how; the Problem."""
    try:
        call(*args, **more)
    except (Problem, NotValid) as e:
        expect(e.kind == kind, f"{kind}: {e}")
        return e
    raise Failed(f"refused as {kind}, but it passed")


def run_peer(cases):
    """@cases is a class of test_ methods, made with a Lab; the exit status."""
    with Lab(f"acme-guardian-{cases.__name__}") as lab:
        made = cases(lab)
        return run_cases([getattr(made, n) for n in cases.__dict__
                          if n.startswith("test_")])
