"""Is the shortcut a removable subspace? Experiments on classifiers of images from several domains."""
