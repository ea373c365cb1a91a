"""Exercises a Context; runs on every Python from 3.7 on.

As a program: argv[1] is the folder of the sdk, standard input and the descriptor
argv[2] are the line to the platform (a line of JSON each way).
"""

import io
import json
import os
import sys
import threading

REFUSALS = (
    ("read_file", ({"fileId": "nope"},)),
    ("read_file", ({"fileKey": "x"},)),
    ("write_file", ("x", "o", "RAW")),
    ("write_file", ("x", "../o", "TMP")),
    ("write_file", (5, "o", "TMP")),
    ("write_file", ("x", "o", "TMP", None, {"batch": "1"})),
    ("write_ids", ({}, "o", "common/plate-reader:v1.0.0")),
    ("validate_ids", ({}, "common")),
    ("add_labels", ({"fileId": "nope"}, [{"name": "", "value": object()}])),
    ("run_cmd", ("t", "a", {}, {})),
    ("enable_experiment", ("x",)),
    ("get_presigned_url", ({}, 901)),
)


def scenario(context):
    """Use every method, and return what can be compared between Pythons."""
    return {
        "values": values(context),
        "forms": forms(context),
        "written": written(context),
        "attributes": attributes(context),
        "others": others(context),
        "refusals": [refusal(context, method, args) for method, args in REFUSALS],
        "threads": threads(context),
    }


def values(context):
    try:
        missing = context.workflow
    except AttributeError as error:
        missing = str(error)
    names = ("org_slug", "protocol_slug", "include_prereleases")
    return [getattr(context, name) for name in names] + [missing]


def forms(context):
    file = context.input_file
    body = context.read_file(file)["body"].decode()
    with context.read_file(file, form="file_obj")["file_obj"] as stream:
        streamed = stream.read().decode()
    path = context.read_file(file, form="download")["download"]
    with open(path) as copy:
        return [body, streamed, copy.read(), os.path.basename(path)]


def written(context):
    pointers = [
        context.write_file("text", "a.txt", "PROCESSED"),
        context.write_file(b"bytes", "b.bin", "TMP"),
        context.write_file(io.BytesIO(b"stream"), "c.bin", "PROCESSED", labels=[]),
        context.write_detached_file("detached", "d.txt", "PROCESSED"),
        context.write_ids(
            {"run": 1, "value": float("nan")}, "e.json", "common/plate-reader:v1.0.0"
        ),
    ]
    return [[p["fileKey"], context.read_file(p)["body"].decode()] for p in pointers]


def attributes(context):
    from stepline_sdk import Label

    file = context.input_file
    labels = context.add_labels(file, [Label("a", "1"), {"name": "b", "value": "2"}])
    left = context.delete_labels(file, [labels[-1]["id"]])
    changed = context.update_metadata_tags(file, {"n": 5}, ["t"])
    added = context.add_attributes(changed, {"m": "6"}, (), [Label("c", "3")])
    result = context.read_file(added)
    names = [label["name"] for label in context.get_labels(added)]
    return [len(labels), len(left), result["custom_metadata"], result["custom_tags"], names]


def others(context):
    file = context.input_file
    found = context.search_eql({"query": {"term": {"category": "TMP"}}}, returns="filePointers")
    info = context.get_file_info(context.get_file_id(file))
    context.enable_experiment("conditional_writes")
    first = context.write_file("1", "cas", "TMP", if_none_match="*")
    try:
        context.write_file("2", "cas", "TMP", if_none_match="*")
        lost = False
    except context.ConcurrentModificationError:
        lost = True
    return [
        len(found),
        info["category"],
        context.get_file_pointer(file["fileId"]) == {k: file[k] for k in first},
        context.get_file_name(file),
        context.get_file_permalink(file)[:24],
        context.get_presigned_url(file)[:8],
        context.get_ids("common", "plate-reader", "v1.0.0")["type"],
        context.resolve_secret({"ssm": "key"}),
        context.get_secret_config_value("key"),
        lost,
    ]


def refusal(context, method, args):
    try:
        getattr(context, method)(*args)
    except Exception as error:  # noqa: BLE001  # whatever it is
        return [type(error).__name__, str(error).split("0x")[0].split(" at ")[0]]
    return None


def threads(context):
    pointers = []

    def write():
        for _ in range(20):
            pointers.append(context.write_file("x", f"t-{threading.get_ident()}", "TMP"))

    running = [threading.Thread(target=write) for _ in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return len({pointer["fileId"] for pointer in pointers})


def stream_through(context):
    """Pass a large file through every streaming way; return the growth of memory, MiB."""
    import resource

    context.write_file("warm", "warm", "TMP")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = context.read_file(context.input_file, "download")["download"]
    with context.read_file(context.input_file, "file_obj")["file_obj"] as stream:
        pointer = context.write_file(stream, "copy", "PROCESSED")
    os.unlink(path)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return [(after - before) // 1024, context.get_file_info(pointer["fileId"])["size"]]


class PipeChannel:
    """A line to the platform over two pipes."""

    def __init__(self, out):
        self._lock = threading.Lock()
        self._out = out

    def call(self, method, params):
        from stepline_sdk.errors import CallError

        with self._lock:
            self._out.write(json.dumps([method, params]) + "\n")
            self._out.flush()
            answer = json.loads(sys.stdin.readline())
        if "error" in answer:
            raise CallError(answer["error"]["type"], answer["error"]["message"])
        return answer["value"]


def main():
    sys.path.insert(0, sys.argv[1])
    from stepline_sdk.context import Context

    with os.fdopen(int(sys.argv[2]), "w") as out:
        task = json.loads(sys.stdin.readline())
        act = globals()[task.pop("act")]
        context = Context(task.pop("values"), channel=PipeChannel(out), **task)
        result = act(context)
        out.write(json.dumps(["result", result]) + "\n")


if __name__ == "__main__":
    main()
