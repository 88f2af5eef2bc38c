"""Trainable networks as classifiers of a job: the architectures, their training, their weights.

:mod:`~emodask.models.networks.kinds` has the architectures, which the table of classifiers names;
PyTorch is imported when one is fitted or asked.
"""
