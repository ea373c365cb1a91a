"""The parts of `stepline.testing.huggingface_standin`.

A request passes through them in this order: ``wire`` says what it asks for, ``answers``
answers it from ``state``, which is made of the values in ``record``.
"""
