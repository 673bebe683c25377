"""The steps of learning by gradients, each kept only where validation users clearly gain.

what is known  ->  warm start of head and items  ->  both towers
"""

from dataclasses import replace

from training.contract import FitContext, FitReport
from training.dataset import Dataset
from training.embedme.selection import clear_gain
from training.embedme.task import EmbedMeTask, Parts
from training.embedme.warm_start import warm_start
from training.loop import fit_epochs


def learn_in_steps(
    task: EmbedMeTask, parts: Parts, data: Dataset, context: FitContext
) -> FitReport:
    """Warm start, then both towers, in place; of three states the first that none after it clearly beats is kept."""
    settings = parts.settings
    if not settings.head_epochs and settings.fine_tune:
        return fit_epochs(task, settings, context)
    if not settings.head_epochs:
        return FitReport(0.0, notes=("nothing learned by gradients: what is known in closed form",))
    warm = warm_start(parts.module, parts.tokenizer, data, parts.taste, context)
    if not settings.fine_tune:
        return warm
    start = {name: one.detach().clone() for name, one in parts.module.state_dict().items()}
    before = task.evaluation()
    report = fit_epochs(task, settings, context)
    notes, chosen = [*warm.notes, *report.notes], report.chosen_epoch
    after = task.evaluation()
    if before is not None and after is not None:
        gain = clear_gain(before, after, settings)
        notes.append(f"fine-tuning on validation users: {gain}")
        if not gain.is_clear:
            parts.module.load_state_dict(start)
            chosen = 0
    return replace(
        report, seconds=warm.seconds + report.seconds, chosen_epoch=chosen, notes=tuple(notes)
    )
