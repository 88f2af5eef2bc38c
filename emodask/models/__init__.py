"""Classifiers, and systems of reductions and a classifier, scikit-learn style."""
