"""Models that are made in the cache of a package's weights: whole or not at all, by any number of processes."""

import hashlib
import multiprocessing
import os
import time

import pytest

from hybridstore.embedders import model_cache
from hybridstore.errors import ModelUnavailable

FILES = {"model.onnx": b"a graph", "tokenizer.json": b"{}"}
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


def write(folder, seconds=0.0):
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
        time.sleep(seconds)


def made(cache, make=write):
    return model_cache.made("model--package", DIGESTS, "model", cache, make)


def make_slowly(cache):
    made(cache, lambda folder: write(folder, 0.1))


def die_half_way(folder):
    (folder / "model.onnx").write_bytes(b"a gr")
    os._exit(1)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_files_are_made_once(tmp_path):
    folder = made(tmp_path)
    assert content(folder) == FILES
    assert made(tmp_path, lambda _: pytest.fail("made again")) == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("name", FILES)
def test_damaged_and_missing_files_are_made_again(tmp_path, name):
    folder = made(tmp_path)
    (folder / name).write_bytes(b"damaged in the cache")
    assert content(made(tmp_path)) == FILES
    (folder / name).unlink()
    assert content(made(tmp_path)) == FILES


def test_files_with_other_checksums_are_not_put_in_place(tmp_path):
    with pytest.raises(ModelUnavailable, match="damaged or a different file"):
        made(tmp_path, lambda folder: [(folder / name).write_bytes(b"wrong") for name in FILES])
    assert list((tmp_path / "model--package").iterdir()) == []


def test_processes_that_begin_at_once_end_with_one_whole_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=make_slowly, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    (folder,) = (tmp_path / "model--package").iterdir()
    assert content(folder) == FILES


def test_what_a_killed_process_left_is_neither_used_nor_kept_for_ever(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=made, args=(tmp_path, die_half_way))
    process.start()
    process.join(60)
    (left,) = (tmp_path / "model--package").iterdir()
    assert content(made(tmp_path)) == FILES
    assert left.is_dir()  # it could be another process's, still at work
    os.utime(left, (1, 1))
    model_cache.made("model--package", DIGESTS | {"model.onnx": hashlib.sha256(b"2").hexdigest()}, "m", tmp_path, two)
    assert not left.is_dir()


def two(folder):
    write(folder)
    (folder / "model.onnx").write_bytes(b"2")


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(ModelUnavailable, match=r"cannot be written to .*; make room there, or set HYBRIDSTORE_CACHE"):
        made(tmp_path / "cache")
