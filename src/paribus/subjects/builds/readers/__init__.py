"""Reading features of builds: the model is run on states."""
