"""What a job needs beside clips: extras of emodask, weights of networks, tables."""

from __future__ import annotations

from emodask.features import family
from emodask.job import Job
from emodask.job_weights import weighted
from emodask.models.checking import FUSION
from emodask.models.classifiers import CLASSIFIERS


def needs(job: Job) -> tuple[str, ...]:
    """What to install, and what to give on the command line, in the words of the command line.

    Parameters
    ----------
    job : Job

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> from emodask.job import load_job
    >>> needs(load_job("face-vgg16")), needs(load_job("hog3d-spline"))
    (('emodask[networks]', '--weights vgg16=FILE'), ())
    """
    kinds = {model.kind for model in job.models.values()} - {FUSION}
    extras = {CLASSIFIERS[kind].package for kind in kinds}
    extras |= {family(feature.kind).extra for feature in job.features.values()}
    if "speech" in extras:  # it brings PyTorch
        extras.discard("networks")
    names = ",".join(sorted(extras - {""}))
    return (
        *([f"emodask[{names}]"] if names else []),
        *(f"--weights {name}=FILE" for name, one in weighted(job).items() if not one.weights),
        *(f"--table {name}=FILE" for name in job.tables),
    )
