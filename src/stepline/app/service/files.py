"""Files of the service: taken in, shown, labelled, deleted; each change may start pipelines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from stepline.app.service.file_names import files_named
from stepline.app.service.flow import Flow
from stepline.app.service.newest import newest_files
from stepline.errors import ArtifactNotFound, UploadError
from stepline.frozen import frozen
from stepline.model import file_rules
from stepline.model.file import FileCategory, FilePointer, FileRecord, numbered_labels
from stepline.model.ledger import EventKind
from stepline.ports.files import Blob, Changes, LabelEdit
from stepline.ports.state import Page, State, StateView, Transaction

BUCKET = "stepline"
_SOURCE_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")


class FileNotFound(ArtifactNotFound):
    """There is no such file."""


@frozen(kw_only=True)
class NewFile:
    """What is known about a file that arrives.

    Attributes:
        path: Path below its source; may have folders.
        source_id: What the file comes from; part of its key.
        source_type: Kind of that: small letters, digits and ``-``.
        source_name: For people.
        metadata: Custom metadata by key.
        tags: Custom tags.
        labels: Names and values.
        file_id: Id that the sender chose, so that it may send the same again; else empty.
    """

    path: str
    source_id: str = "upload"
    source_type: str = "unknown"
    source_name: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    file_id: str = ""


def check_new_file(new: NewFile) -> None:
    """Check all rules for a file that arrives.

    Raises:
        UploadError: With all that is wrong.
    """
    faults = [
        file_rules.file_name_problem(new.path),
        file_rules.key_problem(f"{new.source_id}/{FileCategory.RAW.value}/{new.path}"),
    ]
    if not _SOURCE_ID.fullmatch(new.source_id):
        faults.append(f"source id {new.source_id!r} must be letters, digits, '.', '_' and '-'")
    faults.append(file_rules.source_type_problem(new.source_type))
    faults += [file_rules.metadata_problem(key, value) for key, value in new.metadata.items()]
    faults += [file_rules.tag_problem(tag) for tag in new.tags]
    labels = [{"name": name, "value": value} for name, value in new.labels]
    faults += file_rules.label_problems(labels)
    faults.append(file_rules.attributes_problem(new.metadata, new.tags))
    if found := [fault for fault in faults if fault]:
        raise UploadError("; ".join(found))


class FileService:
    """The files.

    Args:
        state: The service's state.
        flow: The rules.
        org: Slug of the organisation; first part of every key.
        now: Returns the time, ISO 8601 in UTC.
        new_id: Returns an identifier that nothing else has.
        changed: Called after a change that may have queued tasks.
    """

    def __init__(
        self,
        state: State,
        flow: Flow,
        *,
        org: str,
        now: Callable[[], str],
        new_id: Callable[[], str],
        changed: Callable[[], None],
    ) -> None:
        self._state = state
        self._flow = flow
        self._org = org
        self._now = now
        self._new_id = new_id
        self._changed = changed

    def add(self, new: NewFile, blob: Blob) -> FileRecord:
        """Make a file visible, and start the pipelines that it fires, at once.

        Args:
            new: What is known about it.
            blob: Its bytes, in the store.

        Returns:
            Its record; that of before where the same file id came with the same bytes.

        Raises:
            UploadError: It breaks a rule, or the file id belongs to another file.
        """
        check_new_file(new)
        record = self._state.write(lambda tx: self.take_in(tx, new, blob=blob))
        self._changed()
        return record

    def take_in(
        self, tx: Transaction, new: NewFile, *, blob: Blob, fresh: bool = False
    ) -> FileRecord:
        """Do what `add` does, in a transaction of the caller.

        Args:
            tx: The transaction.
            new: What is known about the file.
            blob: Its bytes.
            fresh: Whether nobody can have used the file id before.
        """
        earlier = tx.files.get(new.file_id) if new.file_id and not fresh else None
        record = self._record(new, blob)
        if earlier is not None:
            if (earlier.sha256, earlier.pointer.key) != (blob.sha256, record.pointer.key):
                raise UploadError(f"the file id '{new.file_id}' belongs to another file")
            return earlier
        if new.labels:
            numbers = tx.files.new_label_ids(len(new.labels))
            record = record.with_labels(numbered_labels(new.labels, numbers))
        tx.files.commit(Changes(files=(record,)))
        self._flow.file_event(tx, record, kind=EventKind.FILE)
        return record

    def key_of(self, new: NewFile) -> str:
        """Return the key that a file will have."""
        path = re.sub("/{2,}", "/", new.path)
        return f"{self._org}/{new.source_id}/{FileCategory.RAW.value}/{path}"

    def get(self, file_id: str) -> FileRecord:
        """Return a file version.

        Raises:
            FileNotFound: There is none with this id.
        """
        with self._state.read() as view:
            return _found(view, file_id)

    def named(self, name: str, *, disk: Sequence[str] = ()) -> Page[FileRecord]:
        """Return the files that a name means; `files_named` says what a name may be."""
        with self._state.read() as view:
            return files_named(view.files, name, org=self._org, disk=disk)

    def page(self, *, prefix: str, after: int, limit: int) -> Page[FileRecord]:
        """Return newest versions whose paths below the organisation begin with ``prefix``."""
        with self._state.read() as view:
            return view.files.page(prefix=f"{self._org}/{prefix}", after=after, limit=limit)

    def versions(self, file_id: str) -> Sequence[FileRecord]:
        """Return all versions of the file that a version is of, oldest first."""
        key = self.get(file_id).pointer.key
        with self._state.read() as view:
            return view.files.versions(key)

    def search(self, payload: Any) -> dict[str, Any]:
        """Return what a search finds.

        Raises:
            UserError: The payload is malformed, or uses what is not supported.
        """
        with self._state.read() as view:
            return view.files.search(payload)

    def edit_labels(
        self,
        file_id: str,
        *,
        add: Sequence[tuple[str, str]] = (),
        remove: Sequence[int] = (),
        silent: bool = False,
    ) -> FileRecord:
        """Add and remove labels.

        Args:
            file_id: The version.
            add: Names and values; pairs that it has are left out.
            remove: Ids of labels.
            silent: Whether that starts no pipeline.

        Raises:
            FileNotFound: There is no such version.
            UploadError: A label breaks a rule.
        """
        given = [{"name": name, "value": value} for name, value in add]
        if faults := file_rules.label_problems(given):
            raise UploadError("; ".join(faults))

        def act(tx: Transaction) -> FileRecord:
            record = _found(tx, file_id)
            present = {(label.name, label.value) for label in record.labels}
            pairs = [pair for pair in add if pair not in present]
            numbers = tx.files.new_label_ids(len(pairs)) if pairs else ()
            labels = numbered_labels(pairs, numbers)
            edit = LabelEdit(file_id, added=labels, removed=tuple(remove), silent=silent)
            tx.files.commit(Changes(labels=(edit,)))
            edited = edit.apply(record)
            if not silent and edited != record:
                self._flow.file_event(tx, edited, kind=EventKind.LABELS)
            return edited

        record = self._state.write(act)
        self._changed()
        return record

    def delete(self, file_id: str) -> None:
        """Hide a file version; its record and bytes stay for what was made from it.

        Raises:
            FileNotFound: There is no such version.
        """

        def act(tx: Transaction) -> None:
            record = _found(tx, file_id)
            tx.files.delete(file_id)
            self._flow.file_event(tx, record, kind=EventKind.DELETED)

        self._state.write(act)
        self._changed()

    def _record(self, new: NewFile, blob: Blob) -> FileRecord:
        file_id = new.file_id or self._new_id()
        pointer = FilePointer(BUCKET, self.key_of(new), file_id, self._new_id())
        source = {"id": new.source_id, "type": new.source_type, "name": new.source_name}
        return FileRecord(
            pointer,
            FileCategory.RAW,
            size=blob.size,
            sha256=blob.sha256,
            created_at=self._now(),
            source=source,
            metadata=dict(new.metadata),
            tags=tuple(sorted(set(new.tags))),
            trace_id=file_id,
            blob=blob.name,
        )


def _found(view: StateView | Transaction, file_id: str) -> FileRecord:
    record = view.files.get(file_id)
    if record is None:
        raise FileNotFound(f"there is no file with the id '{file_id}'")
    return record


class StateCatalog:
    """The catalog that attempts see: what is visible in the service's state.

    Args:
        state: The service's state.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def get(self, file_id: str) -> FileRecord | None:
        """Return the file version with this id."""
        with self._state.read() as view:
            return view.files.get(file_id)

    def version(self, key: str, version: str) -> FileRecord | None:
        """Return this version of the file with this key."""
        with self._state.read() as view:
            return view.files.version(key, version)

    def latest(self, key: str) -> FileRecord | None:
        """Return the newest version of the file with this key."""
        with self._state.read() as view:
            return view.files.latest(key)

    def newest(self) -> Sequence[FileRecord]:
        """Return the newest version of every file, in the order of their commits."""
        with self._state.read() as view:
            return list(newest_files(view.files))

    def search(self, payload: Any, *, overlay: Sequence[FileRecord] = ()) -> dict[str, Any]:
        """Return what a search finds among the newest versions of all files."""
        with self._state.read() as view:
            return view.files.search(payload, overlay=overlay)

    def new_label_ids(self, count: int) -> Sequence[int]:
        """Return numbers that no label has or had."""
        return self._state.write(lambda tx: tx.files.new_label_ids(count)) if count else ()

    def commit(self, changes: Changes) -> None:
        """Make changes visible, all of them at once.

        Raises:
            FileConflict: A precondition does not hold; nothing was changed.
        """
        self._state.write(lambda tx: tx.files.commit(changes))
