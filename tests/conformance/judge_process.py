"""Asks the public protocol compiler; runs in the environment that has it, on its own.

Reads a JSON object of protocols by name, writes one of verdicts by name: ``accept``, ``reject`` or
``crash`` for an internal error of the compiler.
"""

import contextlib
import json
import os
import sys


def main() -> None:
    texts = json.load(sys.stdin)
    with quiet():
        verdicts = {name: verdict(text) for name, text in texts.items()}
    json.dump(verdicts, sys.stdout)


def verdict(text):
    from pythonmonkey import SpiderMonkeyError
    from ts_protocol_virtual_machine.compiler import yaml

    try:
        return {"Ok": "accept", "Err": "reject"}[type(yaml.to.pvm(text)).__name__]
    except SpiderMonkeyError:
        return "crash"


@contextlib.contextmanager
def quiet():
    """Send what the JavaScript engine prints to nowhere, also to descriptor 1."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


if __name__ == "__main__":
    main()
