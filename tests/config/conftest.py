from hypothesis import HealthCheck, settings

# The cores are shared: how long one example takes says nothing about the code.
settings.register_profile("telewarden", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("telewarden")
