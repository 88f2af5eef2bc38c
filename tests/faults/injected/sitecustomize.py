"""Faults for real processes: on their path, this file makes chosen functions misbehave.

``EMODASK_TEST_FAULTS`` holds a JSON list of faults: ``at`` names a function (``module:name``),
``does`` what happens when it is called, ``when`` a text that one of its arguments has to contain,
``after`` how many calls go well, ``once`` a file that says that it has happened, ``decoder``
whether it happens in decoder processes or elsewhere.
"""

import contextlib
import errno
import functools
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import time

FAULTS = json.loads(os.environ.get("EMODASK_TEST_FAULTS", "[]"))
IN_DECODER = any("emodask.isolation.decoder_side" in argument for argument in sys.orig_argv)


def happens(fault, arguments):
    if fault.get("when", "") not in " ".join(map(describe, arguments)):
        return False
    if "after" in fault:
        fault["calls"] = fault.get("calls", 0) + 1
        if fault["calls"] <= fault["after"]:
            return False
    if "once" in fault:
        try:
            os.close(os.open(fault["once"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
    return True


def describe(argument):
    return (
        getattr(argument, "clip_id", None)
        or getattr(argument, "basename", None)
        or (argument if isinstance(argument, str) else "")
    )


def do(what):
    if what == "exit":
        os._exit(3)
    elif what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif what == "hang":
        while True:
            time.sleep(60)
    elif what == "memory":
        hoard = []
        while True:
            hoard.append(b"\1" * (16 << 20))
            time.sleep(0.001)
    elif what == "kill client":
        os.kill(os.getppid(), signal.SIGKILL)  # a worker is a child of the client
        time.sleep(600)
    elif what == "disk full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    elif what == "interrupt":
        raise KeyboardInterrupt


def wrap(function, fault):
    @functools.wraps(function)
    def misbehaves(*arguments, **options):
        if happens(fault, arguments):
            do(fault["does"])
        return function(*arguments, **options)

    return misbehaves


class Loader(importlib.abc.Loader):
    def __init__(self, loader, faults):
        self.loader, self.faults = loader, faults

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
        for fault in self.faults:
            *path, name = fault["at"].partition(":")[2].split(".")
            owner = functools.reduce(getattr, path, module)
            setattr(owner, name, wrap(getattr(owner, name), fault))

    def __getattr__(self, name):
        return getattr(self.loader, name)


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        faults = [
            fault
            for fault in FAULTS
            if fault["at"].partition(":")[0] == name and fault.get("decoder", False) == IN_DECODER
        ]
        if not faults:
            return None
        sys.meta_path.remove(self)
        with contextlib.ExitStack() as stack:
            stack.callback(sys.meta_path.insert, 0, self)
            spec = importlib.util.find_spec(name)
        spec.loader = Loader(spec.loader, faults)
        return spec


if FAULTS:
    sys.meta_path.insert(0, Finder())
