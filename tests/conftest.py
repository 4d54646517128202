"""What holds for every test: no property fails because the machine is busy."""

from hypothesis import settings

# Speed is measured by benchmarks; 200 ms per example fail at random where others work, too.
settings.register_profile("holdfast", deadline=None)
settings.load_profile("holdfast")
