"""Export: from a float Keras model to verified files for the device. Runs where TensorFlow is.

``samples`` holds the pictures to calibrate and compare on; ``to_tflite`` and ``to_onnx`` make the files, each function
``model -> bytes``; ``parity`` compares every one with the float model, image by image; ``write_bundle``
puts it all together, through the runtime's own classifier, and refuses what does not agree; ``python -m export`` is the
command.
"""
