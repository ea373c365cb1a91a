"""Pools of warm workers."""

import threading

from stepline.workers.pool import WorkerPool


class Warm:
    """A worker that takes long to tell whether it is usable."""

    def __init__(self):
        self.asked, self.may_tell = threading.Event(), threading.Event()
        self.told = []

    @property
    def usable(self):
        self.asked.set()
        return self.may_tell.wait(20)

    def cancel(self, task_id):
        self.told.append(task_id)

    def stop(self):
        pass

    close = stop


def use(pool, worker):
    with pool.lend("key", lambda: worker):
        pass


def test_pool_goes_on_while_a_worker_does_not_tell_whether_it_is_usable():
    pool, slow = WorkerPool(), Warm()
    waiting = threading.Thread(target=use, args=(pool, slow))
    waiting.start()
    assert slow.asked.wait(20)
    other = threading.Thread(target=lambda: (pool.cancel("task"), use(pool, quick())))
    other.start()
    other.join(10)
    assert (other.is_alive(), slow.told) == (False, ["task"])
    slow.may_tell.set()
    waiting.join()
    pool.close()


def quick():
    worker = Warm()
    worker.may_tell.set()
    return worker
