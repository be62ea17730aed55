"""Export: from a float Keras model to verified files for the device. Runs where TensorFlow is.

``samples`` holds the pictures to calibrate and compare on; ``formats`` names the files that can be made, ``to_tflite``
and ``to_onnx`` make them, each function ``model -> bytes``, and ``convert`` makes those that were asked for;
``calibration`` says how much they owe to their calibration; ``parity`` compares every one with the float model, image
by image, within the ``limits``; ``write_bundle`` puts it all together, through the runtime's own classifier, and
refuses what does not agree; ``python -m export`` is the command.

``python -m export.verify`` asks any bundle again, and needs no TensorFlow for it: ``classifiers`` are what it asks,
``replay`` runs a camera's frames, ``layers`` says where int8 loses what, ``verification`` compares; ``findings`` are
what comes of it, and ``report``, ``report_tables``, ``report_plots`` and ``report_page`` show them.
"""
