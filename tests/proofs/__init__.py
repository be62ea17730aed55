"""Slow proofs that a live run can be left alone: commands that measure, check their bars and write what they found.

``python -m tests.proofs.soak``, ``hostile``, ``kills``, ``streams``, ``cost``; the results of the last full runs are in
``docs/proofs``. The tests run each in a quick form.
"""
