"""What a service keeps in folders: on a full disk, in bounded memory, and when it is killed."""

import hashlib
import io
import json
import random
import subprocess
import sys
import time

import pytest

from stepline.plugins.files_local.logs import FolderLogs
from stepline.plugins.files_local.store import FolderStore
from stepline.ports.executor import LogLine

UNSHARE = ["unshare", "--map-root-user", "--mount"]
BEGIN = """
import hashlib, io, json, os, re, sys, time
from pathlib import Path
from stepline.errors import SteplineError
from stepline.plugins.files_local.logs import FolderLogs
from stepline.plugins.files_local.store import FolderStore
from stepline.ports.executor import LogLine

home = Path(sys.argv[1])
store = FolderStore(str(home / "store"), durable=True)

def attempt(act):
    try:
        return act()
    except SteplineError as error:
        return [type(error).__name__, error.what, error.hint, error.retryable]

def files():
    return sorted(str(p.relative_to(home)) for p in home.rglob("*") if p.is_file())
"""
PLACE = {"step": 0, "attempt": 1}


@pytest.fixture
def full(tmp_path):
    """Run a script on a disk of one mebibyte; return what it prints."""
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    (tmp_path / "disk").mkdir()

    def run(script):
        command = 'mount -t tmpfs -o size=1m none disk && exec "$0" -c "$1" disk'
        return printed([*UNSHARE, "sh", "-c", command, sys.executable, BEGIN + script], tmp_path)

    return run


def printed(command, folder):
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_full_disk_publish_is_retryable_and_leaves_nothing(full):
    (kind, what, hint, retryable), left, kept, after = full(
        """
area = store.staging()
Path("small").write_bytes(b"small")
Path("large").write_bytes(bytes(3_000_000))
blob = area.add("small")
error = attempt(lambda: area.add("large"))
left = [name for name in files() if "staging" in name and not name.endswith(".lock")]
area.publish()
area.discard()
Path("small").write_bytes(b"later")
print(json.dumps([error, len(left), store.verify(blob.name), len(files())]))
"""
    )
    assert (kind, "cannot be kept" in what, retryable) == ("PlatformError", True, True)
    assert "make room on the disk" in hint
    # The small file alone; then it, the lock of blobs and that of the session.
    assert (left, kept, after) == (1, True, 3)


def test_full_disk_upload_goes_on_once_there_is_room(full):
    (kind, _, hint, retryable), offset, sound = full(
        """
content = os.urandom(700_000)
(home / "ballast").write_bytes(bytes(500_000))
upload = store.uploads.begin(len(content), {})
store.uploads.append(upload, 0, source=io.BytesIO(content[:200_000]))
send = lambda: store.uploads.append(upload, 200_000, source=io.BytesIO(content[200_000:]))
error, offset = attempt(send), store.uploads.offset(upload)
(home / "ballast").unlink()
send()
blob = store.uploads.finish(upload, hashlib.sha256(content).hexdigest())
print(json.dumps([error, offset, store.verify(blob.name)]))
"""
    )
    assert (kind, retryable, "make room" in hint) == ("PlatformError", True, True)
    assert (offset, sound) == (200_000, True)


def test_full_disk_log_keeps_whole_lines_and_goes_on_once_there_is_room(full):
    (kind, what, hint, retryable), texts, complete = full(
        """
logs = FolderLogs(str(home / "logs"))
writer = logs.writer("w-1", step=0, attempt=1)
add = lambda *texts: writer.add([LogLine(1.0, "out", text) for text in texts])
add("first")
error = attempt(lambda: add("lost", "x" * 2_000_000))
add("second")
writer.close()
page = logs.read("w-1", step=0, attempt=1)
print(json.dumps([error, [line.text for line in page.lines], page.complete]))
"""
    )
    assert (kind, "log cannot be kept" in what, retryable) == ("PlatformError", True, True)
    assert "make room" in hint
    assert (texts, complete) == (["first", "second"], True)


def test_upload_of_200_mb_stays_in_little_memory(tmp_path):
    script = """
class Source:
    left, largest = 200_000_000, 0

    def read(self, size):
        self.largest, size = max(size, self.largest), min(size, self.left)
        self.left -= size
        return b"x" * size

def peak():
    # Unlike getrusage, this knows nothing of the process that started this one.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

before = peak()
source = Source()
upload = store.uploads.begin(200_000_000, {})
store.uploads.append(upload, 0, source=source, limit=200_000_000)
# As after a restart: the digest is taken from the file.
blob = FolderStore(str(home / "store"), durable=True).uploads.finish(upload)
print(json.dumps([peak() - before, source.largest, blob.size, blob.sha256]))
"""
    more, largest, size, sha256 = printed(
        [sys.executable, "-c", BEGIN + script, str(tmp_path)], tmp_path
    )
    assert more < 16_000_000
    assert largest <= 1024 * 1024
    expected = hashlib.sha256()
    for _ in range(200):
        expected.update(b"x" * 1_000_000)
    assert (size, sha256) == (200_000_000, expected.hexdigest())


def killed(script, folder, *arguments, after_s):
    """Run a script, kill it some time after it said that it began; return its first line."""
    command = [sys.executable, "-c", BEGIN + script, str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.readline().strip()
        time.sleep(after_s)
        process.kill()
        process.wait(10)
    return said


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.1, 0.2])
def test_upload_killed_in_the_middle_of_a_part_goes_on(tmp_path, after_s):
    script = """
class Slow:
    number = 0

    def read(self, size):
        time.sleep(0.001)
        self.number += 1
        return b"%07d|" % self.number * 1000

upload = store.uploads.begin(None, {"path": "a"})
print(upload, flush=True)
store.uploads.append(upload, 0, source=Slow())
"""
    upload = killed(script, tmp_path, after_s=after_s)
    store = FolderStore(str(tmp_path / "store"), durable=True)
    store.clean()
    offset = store.uploads.offset(upload)
    begun = b"".join(b"%07d|" % (number + 1) * 1000 for number in range(offset // 8000 + 1))
    end = store.uploads.append(upload, offset, source=io.BytesIO(b"end"))
    blob = store.uploads.finish(upload, hashlib.sha256(begun[:offset] + b"end").hexdigest())
    assert (blob.size, store.verify(blob.name)) == (end, True)


def test_store_killed_while_it_publishes_holds_whole_blobs_only(tmp_path):
    script = """
print("begun", flush=True)
for number in range(100_000):
    area = store.staging()
    path = home / f"{number}"
    for part in range(3):
        path.write_bytes(b"%d-%d" % (number, part) * 10_000)
        area.add(str(path), move=True)
    area.publish()
    area.discard()
"""
    for number in range(5):
        home = tmp_path / str(number)
        home.mkdir()
        killed(script, home, after_s=random.uniform(0.02, 0.2))
        store = FolderStore(str(home / "store"), durable=True)
        store.clean()
        assert list((home / "store").glob("staging/*")) == []
        names = [p.name for p in (home / "store").glob("blobs/*/*")]
        assert all(store.verify(f"sha256:{name}") for name in names)


def test_log_of_a_killed_platform_has_all_lines_that_were_taken(tmp_path):
    script = """
writer = FolderLogs(str(home / "logs")).writer("w-1", step=0, attempt=1)
writer.add([LogLine(1.0, "out", str(number)) for number in range(1000)])
print("taken", flush=True)
for number in range(1000, 10_000_000):
    writer.add([LogLine(1.0, "out", str(number))])
"""
    assert killed(script, tmp_path, after_s=0.05) == "taken"
    logs = FolderLogs(str(tmp_path / "logs"))
    seen, page = [], logs.read("w-1", **PLACE)
    for _ in range(10_000):
        seen += [int(line.text) for line in page.lines]
        if not page.lines:
            break
        page = logs.read("w-1", after=page.after, **PLACE)
    assert len(seen) >= 1000
    assert (seen == list(range(len(seen))), page.complete) == (True, False)


def test_torn_last_line_is_left_out_until_it_has_its_end(tmp_path):
    logs = FolderLogs(str(tmp_path / "logs"))
    writer = logs.writer("w-1", **PLACE)
    writer.add([LogLine(1.0, "out", "whole")])
    [path] = (tmp_path / "logs").rglob("*.jsonl")
    whole = path.read_bytes()
    line = b'{"at": 2.0, "stream": "err", "text": "late"}\n'
    for torn in (line[:1], line[:-2], line[:-1]):
        path.write_bytes(whole + torn)
        page = logs.read("w-1", **PLACE)
        assert ([each.text for each in page.lines], page.after) == (["whole"], len(whole))
    path.write_bytes(whole + bytes(20) + b"\n" + line)
    texts = [each.text for each in logs.read("w-1", after=page.after, **PLACE).lines]
    assert texts == ["late"]
    writer.close()
