"""What reading digits costs on this machine, and how well they are read.

``workload`` draws the frames and has the runtime's own detector cut real crops out of them. ``candidates`` pairs each
artifact of a bundle with each interpreter. ``measure`` runs them in interleaved blocks and keeps every raw sample;
``summary`` makes percentiles of the samples afterwards. ``latency``, ``size``, ``pipeline`` and ``camera`` are the
benchmarks. For the last, ``labels`` reads labeled pictures (``frames`` holds a small drawn set), ``matching`` tells
which reading is of which digit, ``quality`` makes figures of that, ``peers`` reads the way others do, and ``sheet``
draws every mistake. ``environment`` describes the machine, ``report`` holds it all and is the JSON, ``tables`` and
``camera_tables`` are what a person sees. The command is ``python -m benchmarks``; everything here stands on
``runtime``, NumPy and OpenCV alone.
"""
