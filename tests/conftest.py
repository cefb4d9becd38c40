"""How many examples property tests try: few in the core lane, `--hypothesis-profile thorough` where time allows."""

from hypothesis import HealthCheck, settings

# Tests share the cores with other tests, so how long one example takes says nothing.
settings.register_profile("core", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("core"), max_examples=100)
settings.load_profile("core")
