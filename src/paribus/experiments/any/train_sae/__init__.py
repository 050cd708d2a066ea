"""The work of ``train_sae`` on any network; its fields are in ``paribus.experiments.train_sae``."""
