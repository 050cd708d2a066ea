"""How each subject's setup is validated and built: one file per subject, found by its name."""
