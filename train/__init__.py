"""Training: from MNIST to a float Keras model. Runs on a workstation, in TensorFlow.

``data`` loads and verifies MNIST; ``distractors`` draws what is not a digit; ``augment`` varies pictures, through the
runtime's own preprocessing; ``crops`` labels what the runtime's detector cuts out of rendered frames; ``epochs`` mixes
all of it; ``networks`` holds the architectures; ``fit`` trains one; ``quiet`` keeps TensorFlow's greetings off stderr;
``python -m train`` is the command.

``python -m train.scenes`` renders labeled camera frames: ``inks``, ``letters``, ``printed``, ``papers`` and ``clutter``
are its catalogs, in two ``splits``; ``conditions`` draws what a frame is to be like, ``writer`` fills a ``sheet``,
``optics`` photographs it, and ``compose`` puts it all together, the truth included.
"""
