"""Training: from MNIST to a float Keras model. Runs on a workstation, in TensorFlow.

``data`` loads and verifies MNIST; ``distractors`` draws what is not a digit; ``augment`` varies pictures, through the
runtime's own preprocessing; ``crops`` labels what the runtime's detector cuts out of rendered frames; ``epochs`` mixes
all of it; ``networks`` holds the architectures; ``fit`` trains one by one of the ``recipes``, ``plain`` as the
tutorials do, ``extra`` goes on with the user's own digits; ``workers`` lets several processes train together;
``events`` tells TensorBoard; ``quiet`` keeps TensorFlow's greetings off stderr and ``packages`` asks for what is
missing; ``python -m train`` is the command, ``train.ladder`` runs it for every size, ``train.kaggle`` on
Kaggle's files.

To look and understand: ``inputs`` are the pictures and models that can be asked about, ``measures`` the figures.
``train.explore`` shows an ``exploration`` of data, ``train.evaluate`` an ``evaluation`` of a model, also on
``corruptions``, ``train.visualize`` a ``visualization`` of a network, ``train.report`` all of a bundle, with its
``card``, and a ``comparison`` of several. ``page`` and ``plots`` are the look that all pages share.

``python -m train.scenes`` renders labeled camera frames: ``inks``, ``letters``, ``printed``, ``papers`` and ``clutter``
are its catalogs, in two ``splits``; ``conditions`` draws what a frame is to be like, ``writer`` fills a ``sheet``,
``optics`` photographs it, and ``compose`` puts it all together, the truth included.
"""
