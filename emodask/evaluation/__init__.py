"""Evaluation on people a model has never met: protocols, metrics, folds, pages."""
