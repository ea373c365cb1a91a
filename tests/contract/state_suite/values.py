"""Plain values that the tests of states share."""

from stepline.model.file import FileCategory, FilePointer, FileRecord
from stepline.model.workflow import WorkflowStatus
from stepline.ports.files import Changes
from stepline.ports.state import QueuedTask, StoredWorkflow


def file(number, key="org/src/RAW/a.csv", **given):
    """Return a file version."""
    fields = {
        "pointer": FilePointer("bucket", key, file_id=f"f-{number}", version=f"v-{number}"),
        "category": FileCategory.RAW,
        "size": number,
        "created_at": "2030-01-01T00:00:00Z",
    }
    return FileRecord(**{**fields, **given})


def commit(state, *records, **changes):
    """Commit file versions."""
    state.write(lambda transaction: transaction.files.commit(Changes(files=records, **changes)))


def workflow(of, **given):
    """Return a workflow, by the number in its names."""
    fields = {
        "id": f"w-{of}",
        "pipeline_id": "p-1",
        "revision": 1,
        "status": WorkflowStatus.PENDING,
        "waiting": False,
        "priority": 5,
        "dedupe_key": f"key-{of}",
        "input_file_id": f"f-{of}",
        "protocol_digest": "sha256:aa",
        "scripts": ("sha256:bb", "sha256:cc"),
        "created_at": f"2030-01-01T00:{of // 60:02}:{of % 60:02}Z",
        "updated_at": "2030-01-01T00:00:00Z",
        "state": {"steps": [{"status": "pending"}]},
    }
    return StoredWorkflow(**{**fields, **given})


def task(number, **given):
    """Return an attempt to be made."""
    fields = {"workflow_id": f"w-{number}", "step": 0, "attempt": 1, "pipeline_id": "p-1"}
    return QueuedTask(**{**fields, "priority": 5, **given})


def read(state, look):
    """Return what a look at one consistent state gives."""
    with state.read() as view:
        return look(view)
