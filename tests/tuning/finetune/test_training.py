"""Training a small encoder: it learns, and an interrupted run ends like one that was not interrupted."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hybridstore.errors import InputError
from hybridstore.tuning import encoder
from hybridstore.tuning.finetune import Example, FinetuneSettings

# PyTorch's own imports warn of what they will change; none of it is ours to mend.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("training")]
OPTIONS = FinetuneSettings(epochs=3, batch=6, rate=1e-3, threads=1, checkpoint_every=2)


class StoppedHereError(Exception):
    pass


def trained(small, examples, folder, options=OPTIONS, *, stop=None):
    from hybridstore.tuning.finetune.training import train

    def progress(step, of, loss, left):
        assert step <= of
        assert left >= 0
        assert loss > 0
        if step == stop:
            raise StoppedHereError

    source = encoder.find(small)
    module = encoder.load(source, "cpu", attention="sdpa")
    result = train(module, source, examples, options, folder=folder, run="run", progress=progress)
    return result, {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}, module


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("loss", ["softmax", "listwise", "sigmoid"])
def test_the_loss_falls_and_questions_find_their_answers(small, examples, tmp_path, loss):
    options = FinetuneSettings(epochs=20, batch=12, rate=3e-3, threads=1, loss=loss)
    result, _, module = trained(small, examples, tmp_path, options)
    assert np.mean(result.losses[-3:]) < 0.5 * np.mean(result.losses[:3])
    assert result.examples_per_second > 0
    source = encoder.find(small)
    texts = sorted({each.positive for each in examples})
    wanted = [texts.index(each.positive) for each in examples]

    def right(module):
        asked = encoder.vectors(module, source, [source.query_prefix + each.query for each in examples], "cpu")
        return np.mean((asked @ encoder.vectors(module, source, texts, "cpu").T).argmax(1) == wanted)

    assert right(encoder.load(source, "cpu")) < 0.4
    assert right(module) > 0.7


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(small, examples, tmp_path, stop):
    whole, weights, _ = trained(small, examples, tmp_path / "whole")
    with pytest.raises(StoppedHereError):
        trained(small, examples, tmp_path / "halves", stop=stop)
    rest, again, _ = trained(small, examples, tmp_path / "halves")
    assert rest.resumed_at == stop // 2 * 2
    assert rest.losses == whole.losses
    assert len(whole.losses) == 12
    assert equal(weights, again)


@pytest.mark.slow
def test_a_killed_process_resumes_from_its_last_whole_checkpoint(small, examples, tmp_path):
    _, weights, _ = trained(small, examples, tmp_path / "whole")
    folder, dice = tmp_path / "killed", random.Random(11)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    for seconds in (dice.uniform(0.0, 0.3), dice.uniform(0.0, 0.3)):
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("training_process.py"))]
        process = subprocess.Popen(
            [*command, str(small), str(folder)], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout.readline().startswith("step")
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    result, again, _ = trained(small, examples, folder)
    assert len(result.losses) == 12
    assert equal(weights, again)


def test_the_callers_random_numbers_and_threads_are_left_alone(small, examples, tmp_path):
    import torch

    torch.manual_seed(9)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    trained(small, examples[:4], tmp_path)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_only_the_chosen_layers_are_trained(small, examples, tmp_path):
    source = encoder.find(small)
    begun = {name: tensor.numpy() for name, tensor in encoder.load(source, "cpu").state_dict().items()}

    def changed(**options):
        chosen = FinetuneSettings(epochs=1, batch=6, rate=1e-3, threads=1, **options)
        _, weights, _ = trained(small, examples, tmp_path / repr(options), chosen)
        return {name for name in weights if not np.array_equal(weights[name], begun[name])}

    last, first, words = "inner.encoder.layer.1.", "inner.encoder.layer.0.", "inner.embeddings."

    def touched(names):
        return {part for part in (last, first, words) if any(name.startswith(part) for name in names)}

    assert touched(changed()) == {last, first}
    assert touched(changed(layers=1)) == {last}
    assert touched(changed(embeddings=True)) == {last, first, words}
    assert not any("pooler" in name for name in changed(embeddings=True))


def test_examples_that_teach_nothing_are_rejected(small, tmp_path):
    with pytest.raises(InputError, match="nothing can be learned"):
        trained(small, [Example("where", "here"), Example("when", "here")], tmp_path)
    with pytest.raises(InputError, match="give negatives"):
        trained(small, [Example("where", "here"), Example("when", "now")], tmp_path, FinetuneSettings(loss="listwise"))


def test_a_diverging_loss_stops_with_advice(small, examples, tmp_path):
    with pytest.raises(InputError, match="lower rate="):
        trained(small, examples, tmp_path, FinetuneSettings(rate=1e9, warmup=0, epochs=9, threads=1, batch=6))


def test_damaged_checkpoints_and_those_of_another_run_are_not_used(tmp_path):
    import torch

    from hybridstore.tuning.finetune import checkpoints

    for step in (2, 4, 6):
        checkpoints.save(tmp_path, "run", step, {"weights": {"w": torch.full((3,), float(step))}})
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-00000004.pt", "step-00000006.pt"]
    (tmp_path / "step-00000006.pt").write_bytes((tmp_path / "step-00000006.pt").read_bytes()[:100])
    assert checkpoints.last(tmp_path, "run")["step"] == 4
    assert checkpoints.last(tmp_path, "other") is None
    checkpoints.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert checkpoints.last(tmp_path / "nowhere", "run") is None


def test_the_rate_rises_then_falls_to_almost_zero():
    from hybridstore.tuning.finetune.training import rate_share

    assert [rate_share(step, 10, 0.2) for step in range(1, 11)] == pytest.approx(
        [1 / 2, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    )
    assert rate_share(1, 1, 0.1) == 1.0
    assert rate_share(1, 3, 0.0) == 1.0


def test_on_a_gpu_it_learns_in_half_precision(small, examples, tmp_path, capsys):
    import torch

    from hybridstore.tuning.finetune.training import train

    if not torch.cuda.is_available():
        pytest.skip("no GPU here: training in half precision is not tried")
    source = encoder.find(small)
    module = encoder.load(source, "cuda", attention="sdpa")
    options = FinetuneSettings(epochs=20, batch=12, rate=3e-3)
    result = train(module, source, examples, options, folder=tmp_path, run="run")
    assert np.mean(result.losses[-3:]) < 0.5 * np.mean(result.losses[:3])
    assert all(parameter.dtype == torch.float32 for parameter in module.parameters())
    again = encoder.load(source, "cuda", attention="sdpa")
    assert train(again, source, examples, options, folder=tmp_path, run="run").resumed_at == len(result.losses)
    with capsys.disabled():
        sys.stdout.write(f"\n{result.examples_per_second:,.0f} examples/s on {torch.cuda.get_device_name()}\n")
