"""Lines about the training of a network on labelled pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emodask.display.wording import plural

if TYPE_CHECKING:
    from emodask.networks.labelled import Labelled
    from emodask.networks.pretraining import Epoch


def set_line(labelled: Labelled) -> str:
    """What was read, by part."""
    parts = {"train": "to train on", "valid": "for validation", "test": "held out"}
    counts = ", ".join(f"{len(labelled.parts[part])} {what}" for part, what in parts.items())
    names = ", ".join(labelled.classes[:10]) + (" ..." if len(labelled.classes) > 10 else "")
    line = f"{plural(len(labelled.labels), 'picture')} of {names}: {counts}"
    if labelled.left_out:
        count = len(labelled.left_out)
        line += f"; {count} left out, first {labelled.left_out[0]}"
    return line


def epoch_line(epoch: Epoch, better: bool) -> str:
    """What an epoch came to."""
    return (
        f"epoch {epoch.epoch}: loss {epoch.train_loss:.4f}, validation {epoch.valid_loss:.4f}, "
        f"{epoch.valid_accuracy:.1%} right{', the best so far' if better else ''} "
        f"({epoch.seconds:.1f} s)"
    )


def result_line(about: dict[str, Any], out: str) -> str:
    """What the training came to on pictures that nothing was chosen on."""
    held = about["held_out"]
    count = sum(about["pictures"]["test"].values())
    return (
        f"{out}: epoch {about['best_epoch']}; of {plural(count, 'held-out picture')} "
        f"{held['accuracy']:.1%} right, UAR {held['uar']:.1%}"
    )
