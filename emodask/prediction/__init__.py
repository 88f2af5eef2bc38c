"""Bundle + media -> emotions: of clips, of one speaker's clips together, and along a recording."""

from emodask.prediction.adapting import FEWEST_CLIPS
from emodask.prediction.clips import Verdict, predict
from emodask.prediction.gathering import gather_clips
from emodask.prediction.recording import Step, Timeline
from emodask.prediction.timeline import predict_timeline

__all__ = [
    "FEWEST_CLIPS",
    "Step",
    "Timeline",
    "Verdict",
    "gather_clips",
    "predict",
    "predict_timeline",
]
