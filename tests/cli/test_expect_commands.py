"""`expect` and `test`: what is kept, what is said, and the exit codes."""

import json


def test_a_test_is_kept_run_and_removed(run):
    assert "Nothing is expected yet" in run("test").stderr
    assert "'rotate keys': keys is at rank 1" in run("expect", "rotate keys", "keys").stderr
    told = run("expect", "rotate keys", "suppe", "--within", "1").stderr
    assert "suppe is not among the first 1" in told
    assert "hybridstore explain 'rotate keys' --expect suppe" in told
    listed = run("expect").stdout
    assert all(word in listed for word in ("rotate keys", "suppe", "10"))
    assert listed.count("within") == 1
    failed = run("test", code=1)
    assert failed.stdout.splitlines() == [
        "ok      'rotate keys': keys is at rank 1",
        "FAILED  'rotate keys': suppe is not among the first 1",
    ]
    assert "2 tests, 1 failed." in failed.stderr
    run("expect", "rotate keys", "suppe", "--remove")
    assert "1 test, all hold." in run("test").stderr
    assert "is not expected" in run("expect", "rotate keys", "suppe", "--remove", code=1).stderr


def test_results_are_json_too(run):
    run("expect", "onion soup", "soup", "--within", "2", "--json")
    (listed,) = json.loads(run("expect", "--json").stdout)
    assert (listed["query"], listed["document_id"], listed["within"]) == ("onion soup", "soup", 2)
    (result,) = json.loads(run("test", "--json").stdout)
    assert (result["holds"], result["rank"], result["stored"]) == (True, 1, True)
    run("remove", "soup", "--yes")
    (result,) = json.loads(run("test", "--json", code=1).stdout)
    assert (result["holds"], result["rank"], result["stored"]) == (False, None, False)


def test_what_explain_follows_can_be_kept(run):
    run("explain", "onion", "soup", "--expect", "soup", "--keep")
    (listed,) = json.loads(run("expect", "--json").stdout)
    assert (listed["query"], listed["document_id"]) == ("onion soup", "soup")
    assert "--keep keeps what --expect names" in run("explain", "onion", "--keep", code=2).stderr
    assert "no document has the id" in run("explain", "onion", "--expect", "nowhere", "--keep", code=1).stderr


def test_mistakes_say_what_to_do(run):
    assert "name a question" in run("expect", "only a question", code=2).stderr
    assert "name a question" in run("expect", "--remove", code=2).stderr
    assert "no document has the id 'nowhere'" in run("expect", "question", "nowhere", code=1).stderr
    assert "not in the range" in run("expect", "question", "soup", "--within", "0", code=2).stderr
