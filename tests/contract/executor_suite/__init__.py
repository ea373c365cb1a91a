"""What every executor promises.

A test module of an executor imports all tests of this package's modules, and brings the
fixture ``bench``: a `tests.support.executors.Bench` on an executor that the tests of one
module share. ``own_bench`` is one that a test may do anything to.
"""
