"""The parts of the loopback stand-in for Kaggle's service.

A request passes through them in this order: ``listener`` (bytes to `Request`),
``faults`` (what a test wants to go wrong), ``answers`` (one operation each) and
``state`` (what the service knows). ``record`` holds the values that tests read.
"""
