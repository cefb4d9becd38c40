"""The process in test_full_tuning.py that is killed: tunes the encoder, promotes it and goes back, until then."""

import sys
import time

import fake_finetune

import hybridstore as hs
from hybridstore.store import reembed, store_copy
from hybridstore.tuning import model_versions
from hybridstore.tuning.full_tuning import tune_full

reembed._AT_ONCE = store_copy._BATCH = 10
fake_finetune.stand_in(setattr, fake_finetune.GOOD, slowly=0.05)
with hs.open(sys.argv[1]) as store:
    while True:
        for step in ("Training the encoder", "Evaluating the active version", "Promoting"):

            def report(name, done, of, words="", step=step):
                if name == step:
                    sys.stdout.write(f"{name}\n")
                    sys.stdout.flush()
                    time.sleep(0.02)

            tune_full(store, gate_questions=40, progress=report)
            model_versions.rollback(store)
