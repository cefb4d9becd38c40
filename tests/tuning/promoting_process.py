"""The process in test_embedder_promotion.py that is killed: promotes an embedder and rolls it back, until then."""

import sys

import hybridstore as hs
from hybridstore.embedders.hashing import HashingEmbedder
from hybridstore.store import reembed
from hybridstore.tuning.model_versions import promote_embedder, rollback

reembed._AT_ONCE = 6
old, new = HashingEmbedder(16), HashingEmbedder(24)
known = {each.fingerprint.partition("@")[0]: each for each in (old, new)}
hs.embedders.load = lambda name, **_: known[name]
with hs.open(sys.argv[1]) as store:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        promote_embedder(store, new)
        rollback(store)
