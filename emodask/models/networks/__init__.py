"""Trainable networks as classifiers of a job: the architectures, their training, their weights.

:mod:`~emodask.models.networks.kinds` has the table of them; PyTorch is imported when one is used.
"""
