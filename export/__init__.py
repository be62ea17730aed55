"""Export: from a float Keras model to verified files for the device. Runs where TensorFlow is.

``to_tflite`` and ``to_onnx`` make the files, each function ``model -> bytes``; ``parity`` compares every one with the
float model through the runtime's own classifier; ``write_bundle`` puts it all together and refuses what does not agree;
``python -m export`` is the command.
"""
