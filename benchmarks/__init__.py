"""What reading digits costs on this machine, and how well they are read.

``workload`` holds what is measured on: committed frames (``pages``) and real crops of them. ``subjects`` is what can
be timed on it, with ``bare`` interpreters and ``peers`` for comparison; ``worker`` is a subject in a process of its
own, and ``workers`` the side that starts it. ``candidates`` tells which subjects there are, ``sessions`` runs their
blocks interleaved (``measure``), ``monitor`` and ``environment`` describe the machine meanwhile, and ``run`` puts a
run together, in ``steps`` that are kept. ``startup``, ``size`` (with ``graph``), ``sustained`` and ``camera`` are the
other benchmarks; for the last, ``labels`` reads labeled pictures (``frames`` holds a small drawn set), ``matching``
tells what became of each, ``quality`` makes figures of that, and ``sheet`` draws every mistake.

``report`` holds it all and is the JSON (``serial``), ``summary`` makes percentiles and intervals of samples,
``verdict`` says what they mean. ``sections`` and ``camera_tables`` write that down as ``tables``, for terminal and
Markdown; ``page`` and ``plots`` make HTML of it, and ``render`` writes the files. The commands are ``python -m
benchmarks``, ``benchmarks.compare`` and ``benchmarks.render``; measuring takes ``runtime``, NumPy and OpenCV alone,
plots and comparing the extra ``report``.
"""
