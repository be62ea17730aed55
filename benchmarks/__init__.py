"""What reading digits costs on this machine: latency of a digit, sizes, and the frame pipeline.

``workload`` draws the frames and has the runtime's own detector cut real crops out of them. ``candidates`` pairs each
artifact of a bundle with each interpreter. ``measure`` runs them in interleaved blocks and keeps every raw sample;
``summary`` makes percentiles of the samples afterwards. ``latency``, ``size`` and ``pipeline`` are the benchmarks,
``environment`` describes the machine, ``report`` holds it all and is the JSON, ``tables`` is what a person sees. The
command is ``python -m benchmarks``; everything here stands on ``runtime``, NumPy and OpenCV alone.
"""
