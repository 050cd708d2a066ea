"""Interventions on activations and inputs, evaluated the cheapest exact way."""
