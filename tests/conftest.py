"""What all tests share: how many examples property tests try, and what Ctrl-C does.

Few examples in the core lane; `--hypothesis-profile thorough` where time allows.
"""

import signal

from hypothesis import HealthCheck, settings

# Tests share the cores with other tests, so how long one example takes says nothing.
settings.register_profile("core", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("core"), max_examples=100)
settings.register_profile("few", settings.get_profile("core"), max_examples=10)  # for a server, where each takes longer
settings.load_profile("core")

# A run in the background of a script inherits Ctrl-C as ignored, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
