"""How much hypothesis tries. No deadline: a busy machine must not fail a test."""

from hypothesis import settings

settings.register_profile("tofner", deadline=None)
settings.load_profile("tofner")
