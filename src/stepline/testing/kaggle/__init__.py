"""The parts of the loopback stand-in for Kaggle's service.

``wire`` says what a request asks for, ``answers`` holds the answer to each operation, and
``state`` what the service knows. ``record`` has the values that tests read, and ``faults``
what goes wrong here alone. The rest is `stepline.testing.loopback`.
"""
