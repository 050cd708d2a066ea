"""Does a finding hold up? Experiments about the results of experiments."""
