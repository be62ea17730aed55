"""Training: from MNIST to a float Keras model. Runs on a workstation, in TensorFlow.

``data`` loads and verifies MNIST; ``distractors`` draws what is not a digit; ``augment`` makes each epoch's pictures,
through the runtime's own preprocessing; ``networks`` holds the architectures; ``fit`` trains one; ``quiet``
keeps TensorFlow's greetings off stderr; ``python -m train`` is the command.
"""
